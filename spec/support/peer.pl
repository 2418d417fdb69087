#!/usr/bin/perl
# The process behind peer.lua. Prints its pid once it listens, goes to the
# background, and ends by itself after two minutes.
#   peer.pl PATH|PORT DIR [deaf]
# DIR/script has a line for each connection: hold|close|pour AWAITS SAYS, the last
# two in hex. What comes on the nth one is written to DIR/heard.n.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($address, $dir, $deaf) = @ARGV;
$SIG{PIPE} = 'IGNORE';

open my $script, '<', "$dir/script" or die "script: $!";
my @steps;
while (<$script>) {
  chomp;
  my ($then, $awaits, $says) = split / /, $_, 3;
  push @steps, { then => $then, awaits => pack('H*', $awaits), says => pack('H*', $says) };
}

my $backlog = $deaf ? 1 : 100;
my $server = $address =~ m{^/}
  ? IO::Socket::UNIX->new(Local => $address, Listen => $backlog)
  : IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $address,
      Listen => $backlog, ReuseAddr => 1);
$server or die "cannot listen: $!";

defined(my $pid = fork) or die "fork: $!";
if ($pid) {
  print "$pid\n";
  exit;
}
open $_, '>', '/dev/null' for *STDOUT, *STDERR; # whoever reads ours need not wait
alarm 120;

if ($deaf) {
  # Nobody is accepted; these fill the backlog.
  my @crowd = map {
    IO::Socket::INET->new(PeerAddr => "127.0.0.1:$address", Blocking => 0)
  } 1 .. 4;
  sleep;
}

my %connections;
my $count = 0;
my $sockets = IO::Select->new($server);

sub leave {
  my $socket = shift;
  $sockets->remove($socket);
  delete $connections{$socket};
  close $socket;
}

# Says what it has to say, once.
sub serve {
  my $socket = shift;
  my $c = $connections{$socket};
  return if $c->{served}++;
  # Its end comes with the last words, by TCP, and not a moment later.
  my $closes = $c->{step}{then} eq 'close';
  setsockopt $socket, 6, 3, 1 if $closes && $address !~ m{^/} && $^O eq 'linux'; # TCP_CORK
  print $socket $c->{step}{says};
  $socket->flush;
  leave($socket) if $closes;
  return if $c->{step}{then} ne 'pour' || fork;
  close $server;
  alarm 120;
  select undef, undef, undef, 0.001 while syswrite $socket, 'x' x 1024;
  exit;
}

sub meet {
  my $socket = $server->accept or return;
  my $step = $count < @steps ? $steps[$count] : $steps[-1];
  $count++;
  open my $heard, '>', "$dir/heard.$count" or die "heard: $!";
  $heard->autoflush(1);
  $connections{$socket} = { step => $step, got => '', heard => $heard };
  $sockets->add($socket);
  serve($socket) if $step->{awaits} eq '';
}

while (1) {
  for my $socket ($sockets->can_read) {
    if ($socket == $server) {
      meet();
    } elsif (!sysread $socket, my $bytes, 65536) {
      leave($socket);
    } else {
      my $c = $connections{$socket};
      print { $c->{heard} } $bytes;
      $c->{got} .= $bytes;
      serve($socket) if index($c->{got}, $c->{step}{awaits}) >= 0;
    }
  }
}
