using Mooring.Protocol;

namespace Mooring.Sessions;

/// <summary>The eight levels of <c>logging/setLevel</c> (RFC 5424), most verbose first.</summary>
internal static class LogLevels
{
    private static readonly string[] Ordered = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

    public static bool IsLevel(string text) => Array.IndexOf(Ordered, text) >= 0;

    public static string? MoreVerbose(string? a, string? b) =>
        a is null ? b : b is null ? a : Array.IndexOf(Ordered, a) <= Array.IndexOf(Ordered, b) ? a : b;

    /// <summary>Whether a log message is for a session that asked for <paramref name="wanted"/>; one that asked for nothing gets what the server sends.</summary>
    public static bool Passes(Frame message, string? wanted)
    {
        var level = message.Envelope.Level;
        return wanted is null || !level.IsPresent || Array.IndexOf(Ordered, message.Text(level)) >= Array.IndexOf(Ordered, wanted);
    }
}
