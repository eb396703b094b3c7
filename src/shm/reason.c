/*
 * reason.c
 *	  Why a server's consumers do not run, for the views.
 *
 * A shared hash behind one LWLock, written a few times a minute at most.
 * When it is full, a reason is not kept: the same text is in the log.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "core/guc.h"
#include "shm/reason.h"

typedef struct ReasonKey
{
	Oid			database;
	Oid			server;
} ReasonKey;

typedef struct Reason
{
	ReasonKey	key;
	char		text[KE_REASON_LEN];
} Reason;

static HTAB *reasons;
static LWLock *reasons_lock;

/* One for each server and one for each database. */
static int
max_reasons(void)
{
	return 2 * ke_guc_max_subscriptions;
}

void
ke_reason_shmem_request(void)
{
	RequestAddinShmemSpace(hash_estimate_size(max_reasons(),
											  sizeof(Reason)));
	RequestNamedLWLockTranche("kafka_events_reasons", 1);
}

void
ke_reason_shmem_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(ReasonKey);
	ctl.entrysize = sizeof(Reason);
	reasons = ke_shmem_init_hash("kafka_events reasons", max_reasons(), &ctl,
								 HASH_ELEM | HASH_BLOBS);
	reasons_lock = &GetNamedLWLockTranche("kafka_events_reasons")->lock;
}

void
ke_reason_set(Oid database, Oid server, const char *text)
{
	ReasonKey	key = {database, server};
	Reason	   *reason;
	bool		found;

	LWLockAcquire(reasons_lock, LW_EXCLUSIVE);
	if (text == NULL || text[0] == '\0')
		hash_search(reasons, &key, HASH_REMOVE, NULL);
	else
	{
		HASHACTION	action = HASH_FIND;

		if (hash_get_num_entries(reasons) < max_reasons())
			action = HASH_ENTER_NULL;
		reason = hash_search(reasons, &key, action, &found);
		if (reason != NULL)
			strlcpy(reason->text, text, KE_REASON_LEN);
	}
	LWLockRelease(reasons_lock);
}

void
ke_reason_get(Oid database, Oid server, char *text, Size size)
{
	ReasonKey	key = {database, server};
	Reason	   *reason;

	text[0] = '\0';
	LWLockAcquire(reasons_lock, LW_SHARED);
	reason = hash_search(reasons, &key, HASH_FIND, NULL);
	if (reason == NULL)
	{
		key.server = InvalidOid;
		reason = hash_search(reasons, &key, HASH_FIND, NULL);
	}
	if (reason != NULL)
		strlcpy(text, reason->text, size);
	LWLockRelease(reasons_lock);
}

void
ke_reason_forget(Oid database)
{
	HASH_SEQ_STATUS seq;
	Reason	   *reason;

	LWLockAcquire(reasons_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, reasons);
	while ((reason = hash_seq_search(&seq)) != NULL)
	{
		if (reason->key.database == database)
			hash_search(reasons, &reason->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(reasons_lock);
}
