# A superuser's server runs no function of anybody else as superuser, neither
# one that comes to a table afterwards nor one deep in a superuser's function.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', topic_partitions => 1);
my @names = qw(trigger default owner partition nested operator definer);
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) } @names;

$node->safe_psql(
	'postgres', q{
	CREATE ROLE mallory;
	CREATE SCHEMA mal AUTHORIZATION mallory;
	CREATE SCHEMA good;
	CREATE TABLE ran (by text, superuser boolean);
	GRANT INSERT ON ran TO PUBLIC;
	SET ROLE mallory;
	CREATE FUNCTION mal.note(by text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.ran VALUES (by,
			(SELECT rolsuper FROM pg_roles WHERE rolname = current_user));
		RETURN true;
	END $$;
	CREATE FUNCTION mal.note_definer() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
		$$ SELECT mal.note('definer') $$;
	CREATE FUNCTION mal.by_trigger() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM mal.note('trigger'); RETURN NEW; END $$;
	CREATE FUNCTION mal.same(int, int) RETURNS boolean LANGUAGE sql AS $$ SELECT mal.note('operator') $$;
	CREATE OPERATOR mal.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = mal.same);
	RESET ROLE;
	CREATE FUNCTION good.owner() RETURNS boolean LANGUAGE sql AS $$ SELECT mal.note('owner') $$;
	CREATE FUNCTION good.nested() RETURNS boolean LANGUAGE sql AS $$ SELECT mal.note('nested') $$;
	CREATE FUNCTION good.operator() RETURNS boolean LANGUAGE plpgsql AS
		$$ BEGIN RETURN 1 OPERATOR(mal.===) 1; END $$;
	CREATE FUNCTION good.definer() RETURNS boolean LANGUAGE sql AS $$ SELECT mal.note_definer() $$;
	CREATE TABLE "trigger" (id int);
	CREATE TABLE "default" (id int, b boolean);
	CREATE TABLE "owner" (id int);
	CREATE TABLE "partition" (id int) PARTITION BY LIST (id);
	CREATE TABLE part PARTITION OF "partition" DEFAULT;
	CREATE TABLE "nested" (id int, CHECK (good.nested()));
	CREATE TABLE "operator" (id int, b boolean DEFAULT good.operator());
	CREATE TABLE "definer" (id int, b boolean DEFAULT good.definer())});
$node->safe_psql('postgres', "SELECT kafka_subscribe('$topic{$_}', into_table => '\"$_\"')")
  foreach @names;
foreach my $name (qw(trigger default owner partition))
{
	$kafka->produce($topic{$name}, ['{"id": 1}']);
	$node->wait_until_drained($kafka, $topic{$name});
}

# what changes while the consumer lives
$node->safe_psql(
	'postgres', q{
	GRANT TRIGGER ON "trigger", part TO mallory;
	SET ROLE mallory;
	CREATE TRIGGER t BEFORE INSERT ON "trigger" FOR EACH ROW EXECUTE FUNCTION mal.by_trigger();
	CREATE TRIGGER t BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION mal.by_trigger();
	RESET ROLE;
	ALTER TABLE "default" ALTER b SET DEFAULT mal.note('default');
	ALTER TABLE "owner" ADD CHECK (good.owner());
	TRUNCATE ran});

my $times = 4;
$kafka->produce($topic{$_}, [ map { qq({"id": $_}) } 2 .. $times + 1 ]) foreach @names;
$node->wait_until_drained($kafka, $topic{definer});
is($node->safe_psql('postgres', 'SELECT DISTINCT by, superuser FROM ran'),
	'definer|f', 'a SECURITY DEFINER function runs as its owner');

foreach my $name (grep { $_ ne 'definer' } @names)
{
	$node->becomes(
		"SELECT status FROM kafka_subscriptions WHERE topic = '$topic{$name}'",
		'broken', "$name: the subscription is broken");
	is( $node->safe_psql('postgres', "SELECT count(*) FROM \"$name\" WHERE id > 1"),
		0, "$name: nothing was written");
}
like($node->safe_psql('postgres',
		"SELECT status_reason FROM kafka_subscriptions WHERE topic = '$topic{trigger}'"),
	qr/"mallory" may make triggers on table public\."?trigger/, 'the reason says who and where');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ran WHERE superuser'),
	0, 'nothing of mallory\'s ran as superuser');

# what is put right goes on
$node->safe_psql(
	'postgres', q{
	DROP TRIGGER t ON "trigger";
	DROP TRIGGER t ON part;
	REVOKE TRIGGER ON "trigger", part FROM mallory;
	ALTER TABLE "default" ALTER b DROP DEFAULT;
	ALTER FUNCTION mal.note(text) OWNER TO CURRENT_USER;
	ALTER FUNCTION mal.same(int, int) OWNER TO CURRENT_USER});
foreach my $name (@names)
{
	$node->becomes(qq{SELECT count(*) FROM "$name" WHERE id > 1}, $times, "$name: goes on");
}

$node->stays_up_ok;
done_testing();
