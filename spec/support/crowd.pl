#!/usr/bin/perl
# Many HTTP clients at once, for specs.
#   crowd.pl abort  ADDRESS PATH COUNT
#     asks COUNT times, 20 at once, and goes away 0 to 20 ms after the answer
#     has begun.
#   crowd.pl follow ADDRESS PATH COUNT LAST
#     COUNT clients read Server-Sent Events until each has seen one whose data
#     has the text LAST. Prints "open" once each has the head of its answer,
#     then how many different sequences of ids they saw, and how many ids the
#     first one has.
# ADDRESS is a path or a port of 127.0.0.1.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes 'time';

my ($what, $address, $path, $count, $last) = @ARGV;
$SIG{PIPE} = 'IGNORE';
alarm 120;
$| = 1;

sub ask {
  my $socket = $address =~ m{^/}
    ? IO::Socket::UNIX->new(Peer => $address)
    : IO::Socket::INET->new(PeerAddr => "127.0.0.1:$address");
  $socket or die "cannot connect: $!";
  syswrite $socket, "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n";
  return $socket;
}

if ($what eq 'abort') {
  srand 1;
  my $waiting = IO::Select->new;
  my ($asked, %leave_at) = 0;
  while ($asked < $count or $waiting->count) {
    if ($asked < $count and $waiting->count < 20) {
      $waiting->add(ask());
      $asked++;
    }
    for my $socket ($waiting->can_read(0)) {
      sysread $socket, my $text, 65536 or die 'nginx hung up first';
      $leave_at{$socket} ||= time + rand 0.02;
    }
    for my $socket ($waiting->handles) {
      next if !$leave_at{$socket} or $leave_at{$socket} > time;
      $waiting->remove($socket);
      delete $leave_at{$socket};
      close $socket;
    }
    select undef, undef, undef, 0.001;
  }
  exit;
}

my $sockets = IO::Select->new;
my (%text, %headed, %done);
for (1 .. $count) {
  my $socket = ask();
  $sockets->add($socket);
  $text{$socket} = '';
}
while (keys %done < $count) {
  for my $socket ($sockets->can_read) {
    sysread $socket, $text{$socket}, 65536, length $text{$socket}
      or die "a client was hung up on: $text{$socket}";
    if (!$headed{$socket} and $text{$socket} =~ /\r\n\r\n/) {
      $headed{$socket} = 1;
      print "open\n" if keys %headed == $count;
    }
    $done{$socket} = 1 if index($text{$socket}, $last) >= 0;
  }
}
my @sequences = map { join ' ', /^id: (\S+)/mg } values %text;
my %different = map { $_ => 1 } @sequences;
printf "%d %d\n", scalar keys %different, scalar split ' ', $sequences[0];
