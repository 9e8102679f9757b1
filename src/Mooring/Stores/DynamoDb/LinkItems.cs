using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>Links. How far each has heard its server stands in the session's own item.</summary>
internal static class LinkItems
{
    public const string Init = "init";

    public const string Lists = "lists";

    public static async Task<Dictionary<string, AttributeValue>> MakeAsync(DynamoBodies bodies, string incarnation, LinkRecord link)
    {
        var item = DynamoKeys.Link(incarnation, link.Server).With("server", Text(link.Server)).With("upstream", TextOrNull(link.UpstreamSessionId))
            .With("version", Text(link.Version)).With("fingerprint", Text(link.Fingerprint));
        await bodies.AddAsync(item, Init, link.InitializeResult, expires: null, DynamoBodies.ChunkBytes / 2);
        await bodies.AddAsync(item, Lists, link.OwnLists, expires: null, DynamoBodies.ChunkBytes / 2);
        return item;
    }

    /// <returns>Null: part of it is gone.</returns>
    public static async Task<LinkRecord?> ReadAsync(
        DynamoBodies bodies, Dictionary<string, AttributeValue> item, string sessionId, Dictionary<string, AttributeValue> heard, CancellationToken cancel)
    {
        if (await bodies.ReadAsync(item, Init, cancel) is not { } init || await bodies.ReadAsync(item, Lists, cancel) is not { } lists)
        {
            return null;
        }

        var upstream = item.TextOrNull("upstream");
        var known = heard.Map(item.Text("server"));
        return new LinkRecord
        {
            SessionId = sessionId,
            Server = item.Text("server"),
            UpstreamSessionId = upstream,
            Version = item.Text("version"),
            InitializeResult = init,
            Fingerprint = item.Text("fingerprint"),
            OwnLists = lists,
            Heard = known.TextOrNull("u") == upstream ? known.TextOrNull("e") : null,
        };
    }
}
