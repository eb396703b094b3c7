/*
 * schema_id.h
 *	  What names a schema in a schema registry.
 */
#ifndef KE_SCHEMA_ID_H
#define KE_SCHEMA_ID_H

typedef enum KeSchemaIdKind
{
	KE_SCHEMA_ID_CONFLUENT,		/* a number of Confluent's API */
	KE_SCHEMA_ID_CONTENT,		/* Apicurio's contentId */
	KE_SCHEMA_ID_GLOBAL,		/* Apicurio's globalId */
	KE_SCHEMA_ID_GUID			/* 16 bytes, of Confluent's API */
} KeSchemaIdKind;

/* What a schema is written in. */
typedef enum KeSchemaType
{
	KE_SCHEMA_AVRO,
	KE_SCHEMA_JSON,
	KE_SCHEMA_PROTOBUF,
	KE_SCHEMA_OTHER
} KeSchemaType;

#define KE_SCHEMA_GUID_LEN 16

/* Longest text of an id, with its NUL. */
#define KE_SCHEMA_ID_LEN 40

/* Zeroed before it is filled in: it is compared as bytes. */
typedef struct KeSchemaId
{
	KeSchemaIdKind kind;
	int64		number;			/* 0 with a GUID */
	uint8		guid[KE_SCHEMA_GUID_LEN];	/* zeros with a number */
} KeSchemaId;

/* "7", or the text of a UUID; buf has KE_SCHEMA_ID_LEN bytes. */
extern void ke_schema_id_format(const KeSchemaId *id, char *buf);

/* What ke_schema_id_format and ke_schema_id_kind_name have written. */
extern void ke_schema_id_parse(const char *kind, const char *text,
							   KeSchemaId *id);

/* "confluent", "content", "global", "guid". */
extern const char *ke_schema_id_kind_name(KeSchemaIdKind kind);

/* A registry's word for a type. */
extern KeSchemaType ke_schema_id_type(const char *word);

/* What people are told: "schema id 7", "schema with contentId 7", ... */
extern char *ke_schema_id_describe(const KeSchemaId *id);

#endif							/* KE_SCHEMA_ID_H */
