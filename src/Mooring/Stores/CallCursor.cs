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
/// <param name="Renewals">How many sessions with the server it was sent in before this one, where their ids may mean other events.</param>
internal sealed record CallCursor(string Session, string Version, string Place, long Id, string EventId, string Method, string Tool, string Token, long After = 0, int Renewals = 0)
{
    /// <summary>It goes into a header and a row; no server is known to come near.</summary>
    public const int LongestEventId = 1000;

    private const string At = "at";
    private const string Behind = "on";

    /// <summary>Whether something that the server asked before has no answer yet: nobody goes on from here, since it would not be asked again.</summary>
    public bool IsBehindQuestion { get; init; }

    /// <summary>What the log knows the event by that was made of it: no JSON token, as the ids of requests are.</summary>
    public string Key => Prefix(IsBehindQuestion ? Behind : At) + EventId;

    /// <summary>The server's id of an event of this session, from which the call can be gone on with, by what a log knows it by; null: it is no such one.</summary>
    public string? EventIdOf(string? key) => key?.StartsWith(Prefix(At), StringComparison.Ordinal) == true ? key[Prefix(At).Length..] : null;

    /// <summary>What an event would be known by that stands in a log behind a question; other keys are what they are.</summary>
    public string Unasked(string key) => key.StartsWith(Prefix(Behind), StringComparison.Ordinal) ? Prefix(At) + key[Prefix(Behind).Length..] : key;

    private string Prefix(string kind) => string.Create(CultureInfo.InvariantCulture, $"{kind}{Renewals}:");

    /// <summary>Null: there is none, or a later release wrote it in another way.</summary>
    public static CallCursor? Parse(string? text) =>
        text?.Split(' ').Select(Uri.UnescapeDataString).ToArray() is [var session, var version, var place, var id, var eventId, var method, var tool, var token, var after, var renewals]
        && long.TryParse(id, CultureInfo.InvariantCulture, out var number) && long.TryParse(after, CultureInfo.InvariantCulture, out var sequence)
        && int.TryParse(renewals, CultureInfo.InvariantCulture, out var before)
            ? new CallCursor(session, version, place, number, eventId, method, tool, token, sequence, before)
            : null;

    public override string ToString() => string.Join(
        ' ',
        new[] { Session, Version, Place, Id.ToString(CultureInfo.InvariantCulture), EventId, Method, Tool, Token, After.ToString(CultureInfo.InvariantCulture), Renewals.ToString(CultureInfo.InvariantCulture) }
            .Select(Uri.EscapeDataString));
}
