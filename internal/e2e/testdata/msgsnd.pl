# msgsnd.pl KEY TYPE HEX...: sends each payload, given in hexadecimal.
use strict;
use warnings;
my ($key, $type, @payloads) = @ARGV;
my $q = msgget(hex($key), 0) // die "msgget: $!\n";
for my $hex (@payloads) {
	msgsnd($q, pack("l! a*", $type, pack("H*", $hex)), 0) or die "msgsnd: $!\n";
}
