#!/usr/bin/perl
# The process behind peer.lua. Prints its pid once it listens, goes to the
# background, and ends by itself after two minutes.
#   peer.pl PATH|PORT HEARD hold|close|deaf AWAITS SAYS    (the last two in hex)
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($address, $file, $then, $awaits, $says) = @ARGV;
$_ = pack 'H*', $_ for $awaits, $says;
$SIG{PIPE} = 'IGNORE';

my $backlog = $then eq 'deaf' ? 1 : 100;
my $server = $address =~ m{^/}
  ? IO::Socket::UNIX->new(Local => $address, Listen => $backlog)
  : IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $address,
      Listen => $backlog, ReuseAddr => 1);
$server or die "cannot listen: $!";
open my $heard, '>', $file or die "$file: $!";
$heard->autoflush(1);

defined(my $pid = fork) or die "fork: $!";
if ($pid) {
  print "$pid\n";
  exit;
}
open STDOUT, '>', '/dev/null';
alarm 120;

if ($then eq 'deaf') {
  # Nobody is accepted; these fill the backlog.
  my @crowd = map {
    IO::Socket::INET->new(PeerAddr => "127.0.0.1:$address", Blocking => 0)
  } 1 .. 4;
  sleep;
}

my (%got, %served);
my $sockets = IO::Select->new($server);

sub leave {
  my $socket = shift;
  $sockets->remove($socket);
  delete $got{$socket};
  delete $served{$socket};
  close $socket;
}

sub serve {
  my $socket = shift;
  return if $served{$socket}++;
  $socket->blocking(1);
  print $socket $says;
  $socket->flush;
  leave($socket) if $then eq 'close';
}

while (1) {
  for my $socket ($sockets->can_read) {
    if ($socket == $server) {
      my $new = $server->accept or next;
      $got{$new} = '';
      $sockets->add($new);
      serve($new) if $awaits eq '';
    } elsif (!sysread $socket, my $bytes, 65536) {
      leave($socket);
    } else {
      print $heard $bytes;
      $got{$socket} .= $bytes;
      serve($socket) if index($got{$socket}, $awaits) >= 0;
    }
  }
}
