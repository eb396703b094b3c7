# shellcheck shell=bash disable=SC2034
# Sourced by the scripts under test/: who runs what, and where.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
pg_major=${PG_MAJOR:-15}
kafka_home=$top/build/kafka
kafkajs_home=$top/build/kafkajs
python_home=$top/build/python
spring_home=$top/build/spring
apicurio_home=$top/build/apicurio
registry_home=$top/build/registry
connect_home=$top/build/connect
cloudevents_home=$top/build/cloudevents
registry_version=2.6.13.Final
newer_librdkafka=2.15.1

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Run a command as root: directly, or through sudo.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		die "needs root or sudo for: $*"
	fi
}

# PostgreSQL refuses to run as root; then the user that Debian's package makes
# for it runs it, from a directory that user can look at.
as_server_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		env -C / HOME=/nonexistent setpriv --reuid postgres --regid postgres \
			--init-groups -- "$@"
	else
		"$@"
	fi
}

# So many ports of loopback that nobody listens at.  Not of those that the
# kernel gives to outgoing connections: one of these could have a server's port
# when the server wants it back.
free_ports()
{
	perl -MIO::Socket::INET -e '
		my ($wanted, @socks) = shift;
		foreach my $try (1 .. 1000) {
			my $sock = IO::Socket::INET->new(LocalAddr => "127.0.0.1",
				LocalPort => 10000 + int(rand(22000)), Listen => 1);
			push @socks, $sock if $sock;
			last if @socks == $wanted;
		}
		@socks == $wanted or die "no free port\n";
		print join(" ", map { $_->sockport } @socks), "\n"' "$1"
}

# A new directory that this user owns, under a short path: PostgreSQL's
# sockets live below it and their path has at most 107 characters.
scratch_directory()
{
	local dir

	dir=$(mktemp -d "${TMPDIR:-/tmp}/kafka_events.XXXXXX")
	if [ "$(id -u)" -eq 0 ]; then
		chown postgres: "$dir"
	fi
	chmod 755 "$dir"
	echo "$dir"
}
