# shellcheck shell=bash disable=SC2034
# Sourced by the scripts under test/: who runs what, and where.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
kafka_home=${KAFKA_EVENTS_KAFKA:-$top/build/kafka}
kafkajs_home=${KAFKA_EVENTS_KAFKAJS:-$top/build/kafkajs}

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

# PostgreSQL refuses to run as root; then its package's user runs it.
server_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		echo postgres
	else
		id -un
	fi
}

# Run a command as server_user, in the current environment but for HOME.
as_server_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		HOME=/nonexistent setpriv --reuid postgres --regid postgres \
			--init-groups -- "$@"
	else
		"$@"
	fi
}

# A new directory that server_user owns, under a short path: PostgreSQL's
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
