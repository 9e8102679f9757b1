using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Links.</content>
internal sealed partial class DynamoDbStore
{
    public async Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel)
    {
        if (await HeadAsync(sessionId, cancel) is not { } head)
        {
            return [];
        }

        var items = await _table.QueryAsync(new DynamoQuery(DynamoKeys.Children(head.Text("inc"))).StartingWith(DynamoKeys.Links), cancel);
        var links = new List<LinkRecord>();
        foreach (var item in items)
        {
            if (await LinkItems.ReadAsync(_bodies, item, sessionId, head.Map("heard"), cancel) is { } link)
            {
                links.Add(link);
            }
        }

        return links;
    }

    public Task SaveLinkAsync(LinkRecord link) => _lanes.RunAsync(link.SessionId, async () =>
    {
        if (await HeadAsync(link.SessionId) is not { } head || !await PlaceAsync(link, head))
        {
            return;
        }

        var incarnation = head.Text("inc");
        await _table.WriteAsync(DynamoWrite.Put(await LinkItems.MakeAsync(_bodies, incarnation, link)));
        // The session may have ended meanwhile, and its rows been cleared up before this one came.
        if ((await HeadAsync(link.SessionId))?.Text("inc") != incarnation)
        {
            await _table.DeleteAsync(DynamoKeys.Link(incarnation, link.Server));
        }
    });

    /// <summary>Says from where the link listens; what was heard in the same upstream session stays.</summary>
    /// <returns>False: the session is gone.</returns>
    private async Task<bool> PlaceAsync(LinkRecord link, Dictionary<string, AttributeValue> head)
    {
        var write = new DynamoWrite(DynamoKeys.Session(link.SessionId));
        write.When($"{write.N("inc")} = {write.V(Text(head.Text("inc")))}");
        if (head.Map("heard").ContainsKey(link.Server) && head.Map("heard").Map(link.Server).TextOrNull("u") == link.UpstreamSessionId)
        {
            if (link.Heard is { } place)
            {
                var path = write.N("heard", link.Server, "e");
                // Refused where something was heard meanwhile, or the session ended; the latter is seen later.
                await _table.WriteAsync(write.SetRaw($"{path} = {write.V(Text(place))}").When($"attribute_not_exists({path})"));
            }

            return true;
        }

        var heard = new Dictionary<string, AttributeValue>(StringComparer.Ordinal).With("u", TextOrNull(link.UpstreamSessionId)).With("e", TextOrNull(link.Heard));
        return await _table.WriteAsync(write.SetRaw($"{write.N("heard", link.Server)} = {write.V(Map(heard))}"));
    }
}
