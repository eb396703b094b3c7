/*
 * classify.h
 *	  Whose fault an error is, by its SQLSTATE: what happens to the message.
 */
#ifndef KE_CLASSIFY_H
#define KE_CLASSIFY_H

typedef enum KeVerdict
{
	KE_VERDICT_NOBODY,			/* the server's trouble: wait, route nothing */
	KE_VERDICT_AGAIN,			/* serialization, deadlock: again at once */
	KE_VERDICT_NEVER,			/* this message is never going to work */
	KE_VERDICT_DEPLOYMENT,		/* function, table or configuration is wrong */
	KE_VERDICT_RETRY			/* may work later */
} KeVerdict;

/*
 * timed_out: the error came from our own handler_timeout, which raises the
 * same SQLSTATE as somebody's cancel.
 */
extern KeVerdict ke_classify(int sqlstate, bool timed_out);

#endif							/* KE_CLASSIFY_H */
