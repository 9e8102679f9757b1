using System.Text;
using Mooring.Protocol;

namespace Mooring.FrontDoor;

/// <summary>
/// What a server asked during one call that its client did not declare, and what became of the call by it. Servers with sessions have no word for a capability
/// that they miss: they end the call in words of their own, with those that their question was refused with among them. 2026-07-28 has one (basic/index, "Capabilities"), which
/// tells the client what to declare.
/// </summary>
internal sealed class UndeclaredQuestions
{
    private readonly Lock _gate = new();
    private List<(string Words, string Capability, string? Inner)>? _refused;

    /// <summary>In which words the server's question is refused.</summary>
    public string Refuse(Frame question)
    {
        var words = $"The client did not declare that it takes this {question.MethodName}.";
        if (ClientCapabilities.Needed(question) is var (capability, inner))
        {
            lock (_gate)
            {
                (_refused ??= []).Add((words, capability, inner));
            }
        }

        return words;
    }

    /// <summary>
    /// The error that says which capabilities the call needs, where it failed for want of them: the answer is an error, or a tool's own, and repeats the words of a
    /// refusal. Null for all else. A server that goes on without the answer may succeed, or fail at something else.
    /// </summary>
    /// <param name="answer">The server's, with the id that the error is to have.</param>
    public byte[]? Said(Frame answer)
    {
        lock (_gate)
        {
            if (_refused is null || TextOf(answer) is not { } text)
            {
                return null;
            }

            var missing = _refused.Where(refused => text.Contains(refused.Words, StringComparison.Ordinal)).GroupBy(refused => refused.Capability, refused => refused.Inner).ToList();
            if (missing.Count == 0)
            {
                return null;
            }

            var required = string.Join(',', missing.Select(capability => $"\"{capability.Key}\":{{{string.Join(',', capability.OfType<string>().Distinct().Select(inner => $"\"{inner}\":{{}}"))}}}"));
            return JsonRpc.Error(answer.Id, JsonRpc.MissingCapability, text, Encoding.ASCII.GetBytes($"{{\"requiredCapabilities\":{{{required}}}}}"));
        }
    }

    /// <summary>In which words it failed; null where it did not.</summary>
    private static string? TextOf(Frame answer)
    {
        if (answer.Kind == FrameKind.Error)
        {
            return JsonFields.String(answer.Span(answer.Envelope.Error), "message"u8);
        }

        var result = answer.Span(answer.Envelope.Result);
        if (!JsonFields.IsTrue(result, "isError"u8))
        {
            return null;
        }

        var texts = new List<string>();
        foreach (var at in JsonFields.Elements(result, "content"u8))
        {
            if (JsonFields.String(result.Slice(at.Start, at.Length), "text"u8) is { } text)
            {
                texts.Add(text);
            }
        }

        return string.Join('\n', texts);
    }
}
