using System.Globalization;

namespace Mooring.Chaos.Servers;

/// <summary>
/// What a server writes down of the numbered notifications of a session, beside what it executes: that it accepted one, before it does, and how far it has
/// sent them, after it has. What a killed server took with it can be read from there; what it was just sending counts as not sent.
/// </summary>
internal static class Notices
{
    private const string Owed = "owes ";
    private const string Settled = "owes no more up to ";

    /// <summary>The server owes the session a notification.</summary>
    /// <param name="session">Of the server's.</param>
    /// <param name="id">Of its event.</param>
    public static string Accepted(string session, long id) => $"{Owed}{id} {session}";

    /// <summary>All up to this one are sent, or the gateway has ended the session.</summary>
    public static string SettledTo(string session, long id) => $"{Settled}{id} {session}";

    /// <summary>How many were accepted and not sent, of lines of any kind in any order.</summary>
    public static int Unsent(IEnumerable<string> lines)
    {
        var owed = new List<(string Session, long Id)>();
        var settled = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var line in lines)
        {
            if (line.StartsWith(Settled, StringComparison.Ordinal))
            {
                var (session, id) = Parse(line[Settled.Length..]);
                settled[session] = Math.Max(id, settled.GetValueOrDefault(session));
            }
            else if (line.StartsWith(Owed, StringComparison.Ordinal))
            {
                owed.Add(Parse(line[Owed.Length..]));
            }
        }

        return owed.Count(notice => notice.Id > settled.GetValueOrDefault(notice.Session));
    }

    private static (string Session, long Id) Parse(string text)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return (text[(space + 1)..], long.Parse(text.AsSpan(0, space), CultureInfo.InvariantCulture));
    }
}
