#!/usr/bin/perl
# The process behind proxy.lua: passes bytes between a loopback port of its own
# and a server, and breaks what it is told to break. Prints its pid and its port
# once it listens, goes to the background, and ends when nobody commands it any
# more.
#   proxy.pl CONTROL SERVER
# CONTROL is the path of the Unix socket on which commands come, as Redis's: each
# is answered when it holds. SERVER is a path or a port of 127.0.0.1.
use strict;
use warnings;
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Handle;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Time::HiRes qw(time);

use constant { CHUNK => 65536, QUEUE => 262144 };

my ($control_path, $server_address) = @ARGV;
$SIG{PIPE} = 'IGNORE';

# Below the ports that the kernel gives out, so that it is still ours when we
# listen again.
my ($listener, $port);
sub open_port {
  $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_[0],
    Listen => 511, ReuseAddr => 1, Blocking => 0);
}
open_port($port = 12000 + int rand 20000) until $listener;

my $control = IO::Socket::UNIX->new(Local => $control_path, Listen => 10)
  or die "control: $!";
$control->blocking(0);

defined(my $pid = fork) or die "fork: $!";
if ($pid) {
  print "$pid $port\n";
  exit;
}
open $_, '>', '/dev/null' for *STDOUT, *STDERR; # whoever reads ours need not wait
alarm 20; # to be commanded

my (%connections, %commanders, @settling);
my (%stalled, %delay, @rules, $drops, $black_hole, $turns_away);
my %counts = map { $_ => 0 } qw(attempts connections cuts request reply dropped);
my $number = 0;

# --- connections --------------------------------------------------------------

sub to_server {
  return $server_address =~ m{^/}
    ? IO::Socket::UNIX->new(Peer => $server_address)
    : IO::Socket::INET->new(PeerAddr => "127.0.0.1:$server_address", Blocking => 0);
}

sub shut {
  my ($socket, $how) = @_;
  setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $how eq 'reset';
  close $socket;
}

# A direction: what comes from one socket and goes to the other. left: bytes
# until `how` happens; full: it happens when the queue is sent.
sub way {
  my ($name, $from, $to) = @_;
  return { name => $name, from => $from, to => $to, queue => [], queued => 0 };
}

sub meet {
  while (my $client = $listener && $listener->accept) {
    $counts{attempts}++;
    if ($turns_away) {
      shut($client, $turns_away);
      next;
    }
    my $server = $black_hole ? undef : to_server();
    if (!$server && !$black_hole) {
      shut($client, 'close');
      next;
    }
    $_ && $_->blocking(0) for $client, $server;
    setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
    my $c = {
      id => ++$number, client => $client, server => $server,
      request => way('request', $client, $server),
      reply => way('reply', $server, $client),
    };
    $connections{ $c->{id} } = $c;
    next if $black_hole;
    $counts{connections}++;
    my $rule = $rules[0] or next;
    shift @rules if $rule->{connections} && !--$rule->{connections};
    apply($c, $rule);
  }
}

sub apply {
  my ($c, $rule) = @_;
  my $way = $c->{ $rule->{direction} };
  @$way{qw(left how)} = @$rule{qw(after how)};
}

# Ends it on the client's side. The server has what was passed on, and then an
# end; the connection is there until it has answered that.
sub end {
  my ($c, $how) = @_;
  shut(delete $c->{client}, $how) if $c->{client};
  return delete $connections{ $c->{id} } unless $c->{server};
  @{ $c->{$_} }{qw(queue queued ended)} = ([], 0, 1) for qw(request reply);
  $c->{stalled} = 0;
  shutdown $c->{server}, 1;
}

sub leave {
  my $c = shift;
  $_ && close $_ for @$c{qw(client server)};
  delete $connections{ $c->{id} };
}

# What happens when the last byte of a rule has been passed on.
sub break {
  my ($c, $way) = @_;
  my $how = $way->{how};
  delete @$way{qw(left how full)};
  $counts{cuts}++;
  if ($how eq 'stall') {
    $c->{stalled} = 1;
  } elsif ($how eq 'drop') {
    $way->{drops} = 1;
  } else {
    end($c, $how);
  }
}

sub take {
  my ($c, $way) = @_;
  my $n = sysread $way->{from}, my $bytes, CHUNK;
  return if !defined $n && ($! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR);
  if (!$n) {
    $way->{ended} = 1;
    return pass_end($c, $way);
  }
  if ($way->{drops} || $drops && $way->{name} eq 'reply') {
    $counts{dropped} += $n;
    return;
  }
  if (defined $way->{left}) {
    $n = $way->{left} if $n > $way->{left};
    $way->{left} -= $n;
    $way->{full} = !$way->{left};
    return break($c, $way) if $way->{full} && !$n && !$way->{queued};
    $bytes = substr $bytes, 0, $n;
  }
  my $late = $delay{ $way->{name} };
  push @{ $way->{queue} }, [ $late ? time + $late / 1000 : 0, $bytes ];
  $way->{queued} += $n;
  give($c, $way) unless $late;
}

sub give {
  my ($c, $way) = @_;
  my $queue = $way->{queue};
  while (@$queue && $queue->[0][0] <= time) {
    my $n = syswrite $way->{to}, $queue->[0][1];
    if (!defined $n) {
      return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
      @$way{qw(queue queued ended)} = ([], 0, 1); # nobody is there to take it
      last;
    }
    $counts{ $way->{name} } += $n;
    $way->{queued} -= $n;
    substr $queue->[0][1], 0, $n, '';
    return if length $queue->[0][1];
    shift @$queue;
  }
  return if $way->{queued};
  return break($c, $way) if $way->{full};
  pass_end($c, $way);
}

# Where a side has ended: so for the other one, when it has all. Where both have,
# or the client has gone, that is all.
sub pass_end {
  my ($c, $way) = @_;
  return if !$way->{ended} || $way->{queued};
  my ($request, $reply) = @$c{qw(request reply)};
  return leave($c) if $reply->{ended} && ($request->{ended} || !$c->{client});
  shutdown $way->{to}, 1;
}

# --- commands -----------------------------------------------------------------

my %commands = (
  cut => sub {
    my ($direction, $after, $how, $connections, $present) = @_;
    my %rule = (direction => $direction, after => $after, how => $how,
      connections => $connections);
    return push @rules, \%rule unless $present;
    apply($_, \%rule) for values %connections;
  },
  stall => sub { $stalled{$_} = 1 for @_ },
  resume => sub {
    %stalled = ();
    $_->{stalled} = 0 for values %connections;
  },
  delay => sub { @delay{qw(request reply)} = @_ },
  drop_replies => sub { $drops = $_[0] },
  black_hole => sub { $black_hole = $_[0] },
  turn_away => sub { $turns_away = $_[0] },
  refuse => sub { undef $listener },
  accept => sub { $listener || open_port($port) or die "cannot listen again: $!" },
  kill_connections => sub { end($_, $_[0]) for values %connections },
  heal => sub {
    (%stalled, %delay, @rules) = ();
    ($drops, $black_hole, $turns_away) = ();
    for my $c (values %connections) {
      $c->{stalled} = 0;
      delete @{ $c->{$_} }{qw(left how full drops)} for qw(request reply);
    }
  },
);

sub counts {
  return join ' ', open => scalar(keys %connections), %counts;
}

# Whether a connection is still under way to its end.
sub is_unsettled {
  return grep { $_->{server} && (!$_->{client} || $_->{request}{ended}) }
    values %connections;
}

sub answer {
  my ($socket, $text) = @_;
  syswrite $socket, '$' . length($text) . "\r\n$text\r\n";
}

sub obey {
  my $socket = shift;
  my $n = sysread $socket, my $bytes, CHUNK;
  if (!$n) {
    delete $commanders{$socket};
    exit unless %commanders;
    return;
  }
  # One at a time, and short: a command comes whole.
  my @words = $bytes =~ /\$\d+\r\n([^\r]*)\r\n/g;
  my $name = shift @words;
  return push @settling, $socket if $name eq 'settle';
  return answer($socket, counts()) if $name eq 'counts';
  answer($socket, eval { $commands{$name}->(@words); 1 } ? 'ok' : "failed: $@");
}

# --- the loop -----------------------------------------------------------------

# Moves what can be moved; waits for it for so many seconds, or until a command
# comes. Returns those who command.
sub move {
  my $timeout = shift;
  my ($now, $read, $write) = (time, '', '');
  vec($read, fileno $_, 1) = 1 for grep { $_ } $listener, $control, values %commanders;
  my (@reads, @writes);
  for my $c (values %connections) {
    next if !$c->{server} || $c->{stalled};
    for my $way (@$c{qw(request reply)}) {
      if (!$c->{client}) { # is told its end, and what it says is nobody's
        next if $way->{name} eq 'request';
      } elsif ($stalled{ $way->{name} }) {
        next;
      }
      if ($way->{queued}) {
        my $due = $way->{queue}[0][0] - $now;
        if ($due > 0) {
          $timeout = $due if !defined $timeout || $due < $timeout;
        } else {
          vec($write, fileno $way->{to}, 1) = 1;
          push @writes, [ $c, $way ];
        }
      }
      next if $way->{full} || $way->{queued} >= QUEUE;
      next if $c->{client} && $way->{ended};
      vec($read, fileno $way->{from}, 1) = 1;
      push @reads, [ $c, $way ];
    }
  }
  select $read, $write, undef, $timeout;
  for (@writes) {
    my ($c, $way) = @$_;
    my $fd = $connections{ $c->{id} } && $c->{client} && fileno $way->{to};
    give($c, $way) if defined $fd && vec $write, $fd, 1;
  }
  for (@reads) {
    my ($c, $way) = @$_;
    my $fd = $connections{ $c->{id} } && fileno $way->{from};
    next unless defined $fd && vec $read, $fd, 1;
    if ($c->{client}) {
      take($c, $way);
    } else {
      my $n = sysread $way->{from}, my $bytes, CHUNK;
      leave($c) if defined $n ? !$n : $! != EAGAIN && $! != EINTR;
    }
  }
  meet() if $listener && vec $read, fileno $listener, 1;
  while (vec($read, fileno $control, 1) and my $socket = $control->accept) {
    $commanders{$socket} = $socket;
    alarm 0;
  }
  return grep { defined && vec $read, fileno $_, 1 } values %commanders;
}

while (1) {
  my @ready = move(undef);
  # What came before a command is seen before it.
  move(0) if @ready;
  obey($_) for @ready;
  next if !@settling || is_unsettled();
  answer($_, counts()) for splice @settling;
}
