namespace Mooring.Protocol;

/// <content>What a client of 2026-07-28 declared, as far as it says what a server may ask it (client/elicitation, client/sampling, client/roots, "Capabilities").</content>
internal static partial class ClientCapabilities
{
    /// <summary>Whether a server's request is one that the client takes; others are not put to it (basic/patterns/mrtr, "Server Requirements").</summary>
    /// <param name="capabilities">As declared, raw JSON.</param>
    /// <param name="question">The request.</param>
    public static bool Allow(ReadOnlySpan<byte> capabilities, Frame question) => question.Method switch
    {
        McpMethod.Elicit => AllowsElicitation(JsonFields.Object(capabilities, "elicitation"u8), question),
        McpMethod.CreateMessage => AllowsSampling(JsonFields.Object(capabilities, "sampling"u8), question),
        McpMethod.RootsList => !JsonFields.Object(capabilities, "roots"u8).IsEmpty,
        _ => false,
    };

    /// <summary>What a client has to declare to be asked that: the capability, and what in it, null where that is nothing. Null for what no client can be asked.</summary>
    public static (string Capability, string? Inner)? Needed(Frame question) => question.Method switch
    {
        McpMethod.Elicit => ("elicitation", IsByUrl(question) ? "url" : "form"),
        McpMethod.CreateMessage => ("sampling", NeedsTools(question) ? "tools" : null),
        McpMethod.RootsList => ("roots", null),
        _ => null,
    };

    /// <summary>As <see cref="Needed"/>, raw JSON as it would be declared.</summary>
    public static string? Required(Frame question) =>
        Needed(question) is var (capability, inner) ? $"{{\"{capability}\":{{{(inner is null ? "" : $"\"{inner}\":{{}}")}}}}}" : null;

    /// <summary>One that names neither form nor URLs takes forms.</summary>
    private static bool AllowsElicitation(ReadOnlySpan<byte> elicitation, Frame question)
    {
        if (elicitation.IsEmpty)
        {
            return false;
        }

        var byUrl = JsonFields.Has(elicitation, "url"u8);
        return IsByUrl(question) ? byUrl : !byUrl || JsonFields.Has(elicitation, "form"u8);
    }

    private static bool AllowsSampling(ReadOnlySpan<byte> sampling, Frame question) =>
        !sampling.IsEmpty && (JsonFields.Has(sampling, "tools"u8) || !NeedsTools(question));

    private static bool NeedsTools(Frame question)
    {
        var parameters = question.Envelope.Params.IsPresent ? question.Span(question.Envelope.Params) : default;
        return JsonFields.Has(parameters, "tools"u8) || JsonFields.Has(parameters, "toolChoice"u8);
    }

    public static bool IsByUrl(Frame question) =>
        question.Envelope.Params.IsPresent && JsonFields.String(question.Span(question.Envelope.Params), "mode"u8) == "url";
}
