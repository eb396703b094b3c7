/*
 * relay_trouble.c
 *	  What keeps a relay from publishing: said once, until a row goes through.
 */
#include "postgres.h"
#include "core/compat.h"

#include "relay/relay.h"

void
ke_relay_trouble(KeRelay *relay, const char *fmt,...)
{
	char		text[sizeof(relay->trouble)];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (strcmp(text, relay->trouble) == 0)
		return;
	strlcpy(relay->trouble, text, sizeof(relay->trouble));
	relay->trouble_is_new = relay->trouble_is_unsaved = true;
}

void
ke_relay_trouble_clear(KeRelay *relay)
{
	if (relay->trouble[0] == '\0')
		return;
	relay->trouble[0] = '\0';
	relay->trouble_is_new = relay->trouble_is_unsaved = true;
}

void
ke_relay_trouble_set(KeRelay *relay, char (*what)[512], const char *text)
{
	if (strcmp(*what, text) == 0)
		return;
	strlcpy(*what, text, sizeof(*what));
	relay->trouble_is_new = relay->trouble_is_unsaved = true;
}

/* What is in the way of everything comes before what some copies wait for. */
const char *
ke_relay_trouble_text(const KeRelay *relay)
{
	if (relay->trouble[0] != '\0')
		return relay->trouble;
	if (relay->stall[0] != '\0')
		return relay->stall;
	return relay->absence[0] != '\0' ? relay->absence : NULL;
}
