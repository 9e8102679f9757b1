namespace Mooring.Sessions;

/// <content>Accounts that people link meanwhile.</content>
internal sealed partial class SessionTable
{
    /// <summary>Somebody has linked an account: his sessions here look again at the servers that need one, and their clients are told.</summary>
    public void AccountLinked(Principal person)
    {
        foreach (var session in All.Where(s => s.Principal == person))
        {
            foreach (var upstream in _services.Upstreams.All.Where(u => u.NeedsAccount && (session.Server is null || session.Server == u.Name)))
            {
                _ = session.Lists.AccountLinkedAsync(upstream);
            }
        }
    }
}
