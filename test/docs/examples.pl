# Runs the examples of the documentation; README.md beside this says how.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Spec;
use IPC::Run;
use Test::More;
use Time::HiRes qw(usleep);

use PostgreSQL::Test::Utils;

use KafkaEvents::Registry;
use KafkaEvents::Test;

my $top = File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my @files =
  $ENV{DOCS}
  ? map { "$top/$_" } split ' ', $ENV{DOCS}
  : ("$top/README.md", sort glob "$top/docs/*.md");
my $node = KafkaEvents::Node->start_new('docs');

# Examples in Python use what was installed for the tests.
$ENV{PATH} = "$top/build/python/bin:$ENV{PATH}";

run_file($_) foreach @files;
done_testing();

# One file: its blocks in order, in a database and with a Kafka of its own.
sub run_file
{
	my ($file) = @_;
	my $name = File::Spec->abs2rel($file, $top);
	my ($topics, @blocks) = parse(slurp_file($file));

	return pass("$name has no examples") unless grep { $_->{lang} eq 'sql' } @blocks;

	my $kafka = KafkaEvents::Kafka->start_own;
	my $database = lc basename($file, '.md');
	$database =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$kafka->create_topic($_, partitions => 4) foreach @$topics;

	# one registry for the pages that need it
	my $registry;
	$registry = KafkaEvents::Registry->start
	  if grep { is_run($_) && $_->{text} =~ /localhost:8081/ } @blocks;

	my $ran = 0;
	while (my $block = shift @blocks)
	{
		my $expected;

		next unless is_run($block);
		$expected = shift(@blocks)->{text}
		  if @blocks && $blocks[0]->{lang} eq 'text' && $blocks[0]->{adjacent};
		$block->{text} =~ s/localhost:9092/$kafka->address/ge;
		$block->{text} =~ s/http:\/\/localhost:8081/$registry->url/ge;
		check("$name:$block->{line}", $block, $expected, $database);
		$ran++;
	}
	ok($ran > 0, "$name: examples were run");
	# a user of the database's workers would keep it from being dropped
	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
	# roles are the whole server's, and the next page may make them too
	$node->safe_psql('postgres', "DROP ROLE $_") foreach made_roles();
	$kafka->stop;
	$registry->kill9 if $registry;
	return;
}

sub made_roles
{
	return split /\n/,
	  $node->safe_psql(
		'postgres', q{
		SELECT quote_ident(rolname) FROM pg_roles
		 WHERE oid >= 16384 AND rolname <> current_user});
}

# The file's topics and blocks; a block is a hash of its first line's number,
# lang, text, marks (the comments since the block before), and adjacent: true
# if only blank lines are between it and the block before.
sub parse
{
	my ($text) = @_;
	my (@topics, @blocks, $block, $adjacent, %marks);
	my $number = 0;

	foreach my $line (split /\n/, $text)
	{
		$number++;
		if ($block && $line =~ /^\s*```\s*$/)
		{
			push @blocks, $block;
			undef $block;
			($adjacent, %marks) = (1);
		}
		elsif ($block)
		{
			$block->{text} .= "$line\n";
		}
		elsif ($line =~ /^\s*```(\w*)/)
		{
			$block = {
				line => $number,
				lang => $1,
				text => '',
				marks => {%marks},
				adjacent => $adjacent
			};
		}
		elsif ($line =~ /^<!-- topics: (.*?) -->/)
		{
			push @topics, split ' ', $1;
		}
		elsif ($line =~ /^<!-- (run|wait|not run)\b.*-->/)
		{
			$marks{$1} = 1;
		}
		elsif ($line =~ /\S/)
		{
			$adjacent = 0;
		}
	}
	return (\@topics, @blocks);
}

sub is_run
{
	my ($block) = @_;

	return !$block->{marks}->{'not run'} if $block->{lang} eq 'sql';
	return $block->{lang} eq 'sh' && $block->{marks}->{run};
}

sub check
{
	my ($what, $block, $expected, $database) = @_;
	my ($ok, $output);
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;

	do
	{
		($ok, $output) = run_block($block, $database);
		$ok = matches($output, $expected) if defined $expected;
		usleep(200_000) unless $ok;
	} while (!$ok && $block->{marks}->{wait} && time() < $deadline);
	ok($ok, $what)
	  or diag("ran:\n$block->{text}printed:\n$output"
		  . (defined $expected ? "expected:\n$expected" : ''));
	return;
}

sub run_block
{
	my ($block, $database) = @_;
	my $output = '';
	my @command =
	  $block->{lang} eq 'sh'
	  ? ('bash', '-euo', 'pipefail')
	  : ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v',
		'VERBOSITY=default', '-d', $node->connstr($database));
	my $ok = IPC::Run::run(\@command, '<', \$block->{text}, '>&', \$output);

	return ($ok, $output);
}

sub matches
{
	my ($output, $expected) = @_;
	my $pattern = join "\n",
	  map { join '.*', map { quotemeta } split /…/, $_, -1 }
	  normalized($expected);

	return join("\n", normalized($output)) =~ /\A$pattern\z/;
}

# Lines without the differences that do not matter.
sub normalized
{
	my ($text) = @_;
	my @lines;

	foreach my $line (split /\n/, $text)
	{
		next if $line =~ /^\(\d+ rows?\)$/;
		$line =~ s/^psql:<stdin>:\d+: //;
		$line =~ s/-{2,}/--/g;
		$line =~ s/\s+/ /g;
		$line =~ s/^ | $//g;
		push @lines, $line if $line ne '';
	}
	return @lines;
}
