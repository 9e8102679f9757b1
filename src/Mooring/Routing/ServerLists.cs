namespace Mooring.Routing;

/// <summary>What is known of one server under one key: its <c>InitializeResult</c> and lists. Immutable; a change makes another.</summary>
internal sealed record ServerLists
{
    public static readonly ServerLists Nothing = new();

    private readonly ServerList?[] _lists = new ServerList?[ListKinds.Count];

    /// <summary>Raw JSON; empty when not known.</summary>
    public ReadOnlyMemory<byte> InitializeResult { get; init; }

    /// <summary>When its server last said that.</summary>
    public DateTimeOffset Said { get; init; }

    public ServerList? this[ListKind kind] => _lists[(int)kind];

    public ServerLists With(ServerList list)
    {
        var changed = this with { };
        changed._lists[(int)list.Kind] = list;
        return changed;
    }

    private ServerLists(ServerLists other)
    {
        InitializeResult = other.InitializeResult;
        Said = other.Said;
        _lists = (ServerList?[])other._lists.Clone();
    }
}
