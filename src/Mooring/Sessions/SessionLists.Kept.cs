using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Own lists as the store has them: from a process before this one, or from another replica.</content>
internal sealed partial class SessionLists
{
    /// <summary>Takes what was kept with a link. Lists that are not among it are everybody's.</summary>
    /// <remarks>
    /// Where links here have shown another list, nobody can say which is the newer one: the one kept is shown while the server cannot be asked,
    /// and the server is asked first.
    /// </remarks>
    public void Restore(Upstream upstream, LinkRecord link)
    {
        var key = Key(upstream);
        lock (_gate)
        {
            if (link.OwnLists.IsEmpty && FindLocked(upstream) is not { Lists: not null })
            {
                return;
            }

            var entry = EntryLocked(upstream);
            var lists = entry.Lists ?? ServerLists.Nothing with { InitializeResult = link.InitializeResult };
            foreach (var kind in ListKinds.All)
            {
                var at = link.OwnLists.IsEmpty ? default : JsonFields.Find(link.OwnLists.Span, kind.KeyBytes());
                if (at.IsPresent)
                {
                    var kept = ServerList.Of(kind, link.OwnLists.Slice(at.Start, at.Length).ToArray());
                    if (lists[kind] is { } shown && shown.Hash != kept.Hash)
                    {
                        entry[kind].Doubted = Turn.Next();
                    }

                    lists = lists.With(kept);
                    entry[kind].IsOwn = true;
                    entry[kind].WasAnnounced = true;
                }
                else if (entry[kind].IsOwn && services.Catalogue.Find(upstream.Name, key)[kind] is { } everybodys)
                {
                    if (lists[kind]?.Hash != everybodys.Hash)
                    {
                        entry[kind].Doubted = Turn.Next();
                    }

                    lists = lists.With(everybodys);
                    entry[kind].IsOwn = false;
                }
            }

            entry.Lists = lists;
        }
    }
}
