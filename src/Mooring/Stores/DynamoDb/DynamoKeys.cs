using System.Globalization;
using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>Where each row lies. What has to be listed lies in a fixed number of partitions, so that listing is a query and never a scan.</summary>
internal static class DynamoKeys
{
    public const string Partition = "pk";

    public const string Sort = "sk";

    /// <summary>The table's TTL attribute, in seconds since 1970.</summary>
    public const string Expires = "expires";

    /// <summary>Names the write that a row is of.</summary>
    public const string Token = "w";

    /// <summary>Partitions of one listing. A partition takes 1,000 writes a second.</summary>
    public const int Shards = 16;

    public const string Links = "L#";

    public const string Streams = "T#";

    public const string Events = "E#";

    public const string ReplicaPartition = "R";

    public const string CataloguePartition = "CAT";

    public const string NamePartition = "NAM";

    public const string VaultPartition = "V";

    /// <summary>Versions of credentials, in the order in which they are due.</summary>
    public const string DuePartition = "DUE";

    public const string GonePartition = "GONE";

    public static Dictionary<string, AttributeValue> Key(string partition, string sort) => new(StringComparer.Ordinal)
    {
        [Partition] = Text(partition),
        [Sort] = Text(sort),
    };

    public static Dictionary<string, AttributeValue> Of(Dictionary<string, AttributeValue> item) => Key(item.Text(Partition), item.Text(Sort));

    public static Dictionary<string, AttributeValue> Meta => Key("META", "schema");

    /// <summary>Until when somebody has looked for what expired.</summary>
    public static Dictionary<string, AttributeValue> Sweep(string what) => Key("META", $"sweep {what}");

    public static Dictionary<string, AttributeValue> Session(string id) => Key(Shard("S", id), id);

    /// <summary>What belongs to one session, for as long as it lives: one that comes back under its id has another partition.</summary>
    public static string Children(string incarnation) => $"C#{incarnation}";

    public static Dictionary<string, AttributeValue> Link(string incarnation, string server) => Key(Children(incarnation), Links + server);

    public static Dictionary<string, AttributeValue> Stream(string incarnation, string stream) => Key(Children(incarnation), Streams + stream);

    public static string EventsOf(string stream) => $"{Events}{Hash(stream)}#";

    public static Dictionary<string, AttributeValue> Event(string incarnation, string stream, long sequence) =>
        Key(Children(incarnation), EventsOf(stream) + Sequence(sequence));

    public static string Sequence(long sequence) => sequence.ToString("D19", CultureInfo.InvariantCulture);

    /// <summary>Calls that run, by the replica that runs them.</summary>
    public static string RunningPartition(string replica) => Shard("RUN", replica);

    public static string RunningOf(string replica) => Hash(replica) + "#";

    public static Dictionary<string, AttributeValue> Running(string replica, string incarnation, string stream) =>
        Key(RunningPartition(replica), RunningOf(replica) + incarnation + "#" + Hash(stream));

    public static string TaskPartition(string server) => Shard("TASK", server);

    public static string TasksOf(string server) => Hash(server) + "#";

    public static Dictionary<string, AttributeValue> Task(string server, string id) => Key(TaskPartition(server), TasksOf(server) + Hash(id));

    public static Dictionary<string, AttributeValue> Held(string id) => Key(Shard("HELD", id), Hash(id));

    public static Dictionary<string, AttributeValue> Auth(AuthKind kind, string key) => Key(Shard(AuthPrefix(kind), key), Hash(key));

    public static string AuthPrefix(AuthKind kind) => string.Create(CultureInfo.InvariantCulture, $"A{(int)kind}");

    public const string CredentialPrefix = "CRED";

    public static string CredentialPartition(string issuer, string subject) => Shard(CredentialPrefix, Hash(issuer, subject));

    public static string CredentialsOf(string issuer, string subject) => Hash(issuer, subject) + "#";

    public static Dictionary<string, AttributeValue> Credential(CredentialKey key) =>
        Key(CredentialPartition(key.Issuer, key.Subject), CredentialsOf(key.Issuer, key.Subject) + Hash(key.Provider));

    public static Dictionary<string, AttributeValue> Due(CredentialKey key, DateTimeOffset due, long version) =>
        Key(DuePartition, $"{Sequence(due.UtcTicks)}#{Hash(key.Issuer, key.Subject, key.Provider)}#{Sequence(version)}");

    public static Dictionary<string, AttributeValue> Replica(string id) => Key(ReplicaPartition, id);

    public static Dictionary<string, AttributeValue> Mail(string replica, string hash) => Key($"M#{replica}", hash);

    public static string SignalPartition(string replica) => $"G#{Hash(replica)}";

    /// <summary>Each chunk has a partition of its own, so that a large body is not bound by what one takes.</summary>
    public static Dictionary<string, AttributeValue> Chunk(string blob, int index) => Key(string.Create(CultureInfo.InvariantCulture, $"B#{blob}#{index}"), "-");

    public static IEnumerable<string> All(string prefix) => Enumerable.Range(0, Shards).Select(shard => Shard(prefix, shard));

    private static string Shard(string prefix, string of) => Shard(prefix, Convert.ToInt32(Hash(of)[..2], 16) % Shards);

    private static string Shard(string prefix, int shard) => string.Create(CultureInfo.InvariantCulture, $"{prefix}#{shard}");
}
