using Mooring.Protocol;

namespace Mooring.FrontDoor;

/// <content>
/// Pages that a person has to visit before a call can be done: to link an account, or because a server of 2025-11-25 says so. The client is told in this
/// version's way, and its retry is run anew (2026-07-28, basic/patterns/mrtr and client/elicitation).
/// </content>
internal sealed partial class StatelessReply
{
    /// <summary>Whether the client said no to visiting pages for this very call: it is not asked the same again.</summary>
    public bool WasDeclined { get; init; }

    /// <returns>False where that cannot be asked: the error stands.</returns>
    private bool AskToVisit(StatelessExchange exchange, Frame error)
    {
        if (WasDeclined || !MayBeAsked || !Session.OpensPages)
        {
            return false;
        }

        var pages = new List<(string, byte[])>();
        foreach (var page in NeededPages.Of(error))
        {
            pages.Add(($"u{pages.Count + 1}", [.. "{\"method\":\"elicitation/create\",\"params\":"u8, .. JsonFields.Without(page, "elicitationId"u8), (byte)'}']));
        }

        if (pages.Count == 0 || _parked.Park(reply: null, RetryKey.Of(Session, exchange.Request)) is not { } reference)
        {
            return false;
        }

        if (!Put(exchange, reference, pages))
        {
            // It left just now, and never saw the reference.
            _parked.Drop(reference);
        }

        return true;
    }

    /// <summary>What cannot be asked, as an error that this version has, with the addresses in its sentence. Others stay as they are.</summary>
    private Frame Told(Frame error) => Session.OpensPages && NeededPages.InWords(error) is { } told ? Frame.Parse(told) : error;
}
