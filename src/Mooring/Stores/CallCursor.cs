using System.Globalization;

namespace Mooring.Stores;

/// <summary>
/// A place in the stream with which a server answers one request (2025-11-25, basic/transports, "Resumability and Redelivery"), and what another process
/// has to know to go on from there.
/// </summary>
/// <param name="Session">As in <see cref="LinkRecord.UpstreamSessionId"/>: an event's id means nothing in another session.</param>
/// <param name="Version">The version that is spoken in it, as on the wire.</param>
/// <param name="Place">A hash of where the server is, with nothing in it that may be secret, for it lies in clear: one that is somewhere else by now is not asked.</param>
/// <param name="Id">The gateway's own id of the request, which the answer bears.</param>
/// <param name="EventId">The server's id of the event.</param>
/// <param name="Method">The request's method.</param>
/// <param name="Tool">The tool by the server's own name; empty where the request is no call of one.</param>
/// <param name="Token">The client's progress token, raw JSON; empty where it gave none.</param>
/// <param name="After">
/// The sequence of the last event in the call's own stream when this was kept. What was appended later and comes from the server says by itself where it
/// stood (<see cref="Key"/>).
/// </param>
internal sealed record CallCursor(string Session, string Version, string Place, long Id, string EventId, string Method, string Tool, string Token, long After = 0)
{
    /// <summary>It goes into a header and a row; no server is known to come near.</summary>
    public const int LongestEventId = 1000;

    private const string KeyPrefix = "at:";

    /// <summary>What the log knows the event by that was made of it: no JSON token, as the ids of requests are.</summary>
    public string Key => KeyPrefix + EventId;

    /// <summary>The server's id of the event that a log knows by a key; null: it is known by something else.</summary>
    public static string? EventIdOf(string? key) => key?.StartsWith(KeyPrefix, StringComparison.Ordinal) == true ? key[KeyPrefix.Length..] : null;

    /// <summary>Null: there is none, or a later release wrote it in another way.</summary>
    public static CallCursor? Parse(string? text) =>
        text?.Split(' ').Select(Uri.UnescapeDataString).ToArray() is [var session, var version, var place, var id, var eventId, var method, var tool, var token, var after]
        && long.TryParse(id, CultureInfo.InvariantCulture, out var number) && long.TryParse(after, CultureInfo.InvariantCulture, out var sequence)
            ? new CallCursor(session, version, place, number, eventId, method, tool, token, sequence)
            : null;

    public override string ToString() => string.Join(
        ' ',
        new[] { Session, Version, Place, Id.ToString(CultureInfo.InvariantCulture), EventId, Method, Tool, Token, After.ToString(CultureInfo.InvariantCulture) }
            .Select(Uri.EscapeDataString));
}
