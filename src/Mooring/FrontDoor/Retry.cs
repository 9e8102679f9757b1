using Mooring.Protocol;
using Mooring.Tasks;

namespace Mooring.FrontDoor;

/// <summary>What makes a request the retry of an earlier one (2026-07-28, basic/patterns/mrtr): the reference and the answers that it brings.</summary>
internal sealed record Retry(string? State, IReadOnlyList<(string Key, byte[] Answer)> Answers)
{
    /// <summary>Whether its person said no to anything that was asked.</summary>
    public bool IsDeclined => Answers.Any(one => JsonFields.String(one.Answer, "action"u8) is "decline" or "cancel");

    /// <summary>Whether the gateway gave the reference out, of a call that waits here or at another replica.</summary>
    public bool IsOurs => State is { } state && ParkedCalls.IsOurs(state);

    /// <summary>Reads them; null where the request is no retry, or with what is wrong.</summary>
    public static Retry? Of(Frame request, out string? wrong)
    {
        wrong = null;
        var bytes = request.Bytes;
        if (bytes.IndexOf("requestState"u8) < 0 && bytes.IndexOf("inputResponses"u8) < 0 && bytes.IndexOf((byte)'\\') < 0)
        {
            // Nearly all. A name may be written with escapes, which have a backslash.
            return null;
        }

        var parameters = request.Span(request.Envelope.Params);
        var state = JsonFields.Find(parameters, "requestState"u8);
        var answers = JsonFields.Find(parameters, "inputResponses"u8);
        if (!state.IsPresent && !answers.IsPresent)
        {
            return null;
        }

        if (state.IsPresent && parameters[state.Start] != '"')
        {
            wrong = "requestState is no string.";
            return null;
        }

        var read = answers.IsPresent ? TaskAnswers.Read(parameters.Slice(answers.Start, answers.Length)) : [];
        if (read is null)
        {
            wrong = "inputResponses has to be an object of one result, an object too, for each question.";
            return null;
        }

        return new Retry(state.IsPresent ? JsonText.Read(parameters.Slice(state.Start, state.Length)) : null, read);
    }

    /// <summary>The request as its server wants it: with the reference that it gave out itself.</summary>
    public Frame ForServer(Frame request)
    {
        if (State is null || ParkedCalls.Unmarked(State) is not { } theirs)
        {
            return request;
        }

        var parameters = request.Envelope.Params;
        return Frame.Parse(JsonFields.Splice(request.Bytes, JsonFields.Find(request.Span(parameters), "requestState"u8).Offset(parameters.Start), JsonText.Quote(theirs)));
    }

    /// <summary>The request as it was before there was anything to answer.</summary>
    public static Frame Stripped(Frame request)
    {
        var parameters = request.Span(request.Envelope.Params);
        var plain = JsonFields.Without(JsonFields.Without(parameters, "inputResponses"u8), "requestState"u8);
        return Frame.Parse(JsonFields.Splice(request.Bytes, request.Envelope.Params, plain));
    }
}
