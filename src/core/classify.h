/*
 * classify.h
 *	  Whose fault an error is, by its SQLSTATE: what happens to the message.
 */
#ifndef KE_CLASSIFY_H
#define KE_CLASSIFY_H

/* What handlers raise to decide for themselves. */
#define KE_SQLSTATE_RETRY MAKE_SQLSTATE('K', 'E', '0', '0', '1')
#define KE_SQLSTATE_REJECT MAKE_SQLSTATE('K', 'E', '0', '0', '2')
#define KE_SQLSTATE_SKIP MAKE_SQLSTATE('K', 'E', '0', '0', '3')

typedef enum KeVerdict
{
	KE_VERDICT_NOBODY,			/* the server's trouble: wait, route nothing */
	KE_VERDICT_AGAIN,			/* a conflict with others: again at once */
	KE_VERDICT_NEVER,			/* this message is never going to work */
	KE_VERDICT_DEPLOYMENT,		/* function, table or configuration is wrong */
	KE_VERDICT_RETRY,			/* may work later */
	KE_VERDICT_SKIP				/* the handler wants it dropped */
} KeVerdict;

/*
 * timed_out: the error came from our own handler_timeout, which raises the
 * same SQLSTATE as somebody's cancel.
 */
extern KeVerdict ke_classify(int sqlstate, bool timed_out);

#endif							/* KE_CLASSIFY_H */
