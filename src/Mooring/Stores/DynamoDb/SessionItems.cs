using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>
/// A session's own item. What is decided for the whole session is decided in it: its revision, how far each link has heard its server
/// (<c>heard</c>), which event that was if it may still have to be shown (<c>pend</c>), and where its homes are (<c>homes</c>).
/// </summary>
internal static class SessionItems
{
    public const string Init = "init";

    /// <summary>What a client changes of its session.</summary>
    public static async Task<DynamoWrite> ChangeAsync(DynamoBodies bodies, SessionRecord session)
    {
        var held = new Dictionary<string, AttributeValue>(StringComparer.Ordinal);
        await bodies.AddAsync(held, Init, session.InitializeParams, expires: null, DynamoBodies.ListedBytes);
        var write = new DynamoWrite(DynamoKeys.Session(session.Id)).Set("version", Text(session.Version)).Set("initialized", Flag(session.Initialized))
            .Set("logLevel", TextOrNull(session.LogLevel)).Set("subscriptions", Texts(session.Lasting));
        return write.SetBody(held, Init);
    }

    /// <summary>All attributes that a body may have, so that nothing of the one before remains.</summary>
    public static DynamoWrite SetBody(this DynamoWrite write, Dictionary<string, AttributeValue> held, string name)
    {
        foreach (var attribute in DynamoBodies.AttributesOf(name))
        {
            write.Set(attribute, held.GetValueOrDefault(attribute));
        }

        return write;
    }

    public static SessionRecord Read(Dictionary<string, AttributeValue> head, ReadOnlyMemory<byte> init) => new()
    {
        Id = head.Text(DynamoKeys.Sort),
        Issuer = head.Text("issuer"),
        Subject = head.Text("subject"),
        Server = head.TextOrNull("server"),
        Transport = head.Text("transport"),
        Version = head.Text("version"),
        InitializeParams = init,
        Initialized = head.Flag("initialized"),
        LogLevel = head.TextOrNull("logLevel"),
        Lasting = head.Texts("subscriptions"),
        Created = head.Time("created"),
        LastSeen = head.Time("seen"),
        Listener = SessionListener.Parse(head.TextOrNull("listener")),
        Revision = head.Number("rev"),
    };
}
