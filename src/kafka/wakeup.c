/*
 * wakeup.c
 *	  A pipe that the library's threads write to when an event waits.
 *
 * The library writes one byte when its queue turns from empty to filled,
 * ignoring a full pipe; who waits for the pipe empties it before it polls the
 * queue, or a byte written in between would be lost.  The library must have
 * been told to forget the write end before the pipe is closed: the number may
 * belong to a table's file a moment later.
 */
#include "postgres.h"
#include "core/compat.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage/fd.h"

#include "kafka/wakeup.h"

/* Not inherited by archive_command and the like. */
static bool
prepare(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
		fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

void
ke_wakeup_open(KeWakeup *wakeup)
{
	int			fds[2];

	wakeup->read_fd = wakeup->write_fd = -1;

	/* fd.c counts them, so that it leaves enough for tables. */
	ReserveExternalFD();
	ReserveExternalFD();
	if (pipe(fds) != 0)
	{
		ReleaseExternalFD();
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create pipe: %m")));
	}
	wakeup->read_fd = fds[0];
	wakeup->write_fd = fds[1];

	if (!prepare(fds[0]) || !prepare(fds[1]))
	{
		int			save_errno = errno;

		ke_wakeup_close(wakeup);
		errno = save_errno;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not set up pipe: %m")));
	}
}

void
ke_wakeup_drain(KeWakeup *wakeup)
{
	char		buf[64];

	/* Ends with EAGAIN, the only error there can be; EINTR tries again. */
	for (;;)
	{
		ssize_t		got = read(wakeup->read_fd, buf, sizeof(buf));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t) sizeof(buf))
			break;
	}
}

void
ke_wakeup_close(KeWakeup *wakeup)
{
	if (wakeup->read_fd < 0)
		return;
	close(wakeup->read_fd);
	close(wakeup->write_fd);
	ReleaseExternalFD();
	ReleaseExternalFD();
	wakeup->read_fd = wakeup->write_fd = -1;
}
