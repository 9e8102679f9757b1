using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <content>How old what is known is, where its server says for how long it may be kept (2026-07-28, server/utilities/caching).</content>
internal sealed partial class Catalogue
{
    private readonly Lock _readAgainGate = new();
    private readonly Dictionary<(string Server, string Key, ListKind Kind), long> _readAgain = [];

    /// <summary>For how long from now on, and for whom, holds what a server says of itself, as <see cref="LikelySaidTo"/> has it.</summary>
    public CacheHint HintOfSaidTo(Session session, Upstream upstream)
    {
        var (said, at) = session.Lists.Key(upstream) is { } key
            ? Find(upstream.Name, key) is var lists ? (lists.InitializeResult, lists.Said) : default
            : (session.Links.Said(upstream), session.Links.SaidAt(upstream));
        if (said.IsEmpty && !upstream.NeedsAccount)
        {
            var any = FindAny(upstream.Name);
            (said, at) = (any.InitializeResult, any.Said);
        }

        return CacheHint.Of(said.Span).After(time.GetUtcNow() - at);
    }

    /// <summary>
    /// Whether a shared list whose time is up is to be read again by whoever asks this: by one for all that share it, and no sooner after the one before
    /// than lists are read at all, whatever came of that.
    /// </summary>
    public bool TryReadAgain(string server, string key, ListKind kind)
    {
        var now = time.GetTimestamp();
        lock (_readAgainGate)
        {
            if (_readAgain.TryGetValue((server, key, kind), out var before) && time.GetElapsedTime(before, now) < ListPace.Shortest)
            {
                return false;
            }

            _readAgain[(server, key, kind)] = now;
            return true;
        }
    }

    private void ForgetReadAgain(string server, string key)
    {
        lock (_readAgainGate)
        {
            foreach (var kind in ListKinds.All)
            {
                _readAgain.Remove((server, key, kind));
            }
        }
    }
}
