using System.Security.Cryptography;
using Mooring.Configuration;
using Mooring.Protocol;

namespace Mooring.Audit;

/// <summary>One request on its way to its line. What it needs of the request it copies: the buffer goes back with the answer.</summary>
internal sealed class AuditedCall
{
    private readonly AuditLog _log;
    private AuditEntry _begun;
    private readonly McpMethod _method;
    private readonly long _started;
    private bool _isTask;

    /// <param name="log">Where its line goes.</param>
    /// <param name="request">The request.</param>
    /// <param name="who">Whose it is, with the client and the session.</param>
    public AuditedCall(AuditLog log, Frame request, AuditEntry who)
    {
        _log = log;
        _method = request.Method;
        _started = log.Time.GetTimestamp();
        Id = request.Id.ToArray();
        var envelope = request.Envelope;
        var arguments = _method is McpMethod.ToolsCall or McpMethod.PromptsGet && envelope.Params.IsPresent ? JsonFields.Find(request.Span(envelope.Params), "arguments"u8) : default;
        var raw = arguments.IsPresent ? request.Span(arguments.Offset(envelope.Params.Start)) : _method is McpMethod.ResourcesRead && envelope.Uri.IsPresent ? request.Span(envelope.Uri) : default;
        _begun = who with
        {
            At = log.Time.GetUtcNow(),
            Method = request.MethodName,
            Name = _method is McpMethod.ToolsCall or McpMethod.PromptsGet && envelope.Name.IsPresent ? request.Text(envelope.Name)
                : envelope.Uri.IsPresent ? Plain(request.Text(envelope.Uri))
                : null,
            ArgumentsHash = !raw.IsEmpty && log.Arguments == AuditArguments.Hash ? AuditEntry.HashOf(raw) : null,
            Arguments = arguments.IsPresent && log.Arguments == AuditArguments.Full ? Redaction.Of(raw) : default,
        };
    }

    /// <summary>The client's id, a raw JSON token.</summary>
    public byte[] Id { get; }

    /// <summary>The server it goes to.</summary>
    public string? Server { get; set; }

    /// <summary>What that calls the tool.</summary>
    public string? ToolName { get; set; }

    /// <summary>Whether requests of this kind are noted: what is done, not what is looked up.</summary>
    public static bool IsNoted(McpMethod method) =>
        method is McpMethod.ToolsCall or McpMethod.PromptsGet or McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.Complete or McpMethod.Other;

    /// <summary>Its client has had it as a task since another process ran it, which said so.</summary>
    public bool IsTask { init => _isTask = value; }

    /// <summary>It is under way from here on. Where that is noted, a process that is killed leaves a line of what it was at.</summary>
    public AuditedCall Begin()
    {
        if (_log.NotesBeginnings)
        {
            _begun = _begun with { Call = RandomNumberGenerator.GetHexString(16, lowercase: true) };
            _log.Write(_begun with { Outcome = "begun", Server = Server ?? _begun.Server });
        }

        return this;
    }

    /// <summary>Its client has it as a task from now on; its line follows when that ends.</summary>
    public void BecameTask()
    {
        Write("task", code: null, clientLeft: false);
        _isTask = true;
    }

    public void End(Frame answer, bool clientLeft)
    {
        if (answer.Kind != FrameKind.Error)
        {
            var result = answer.Span(answer.Envelope.Result);
            Write(
                _method == McpMethod.ToolsCall && JsonFields.IsTrue(result, "isError"u8) ? "tool_error"
                : JsonFields.String(result, "resultType"u8) is { } type and not "complete" ? type
                : "result",
                code: null, clientLeft);
            return;
        }

        var error = answer.Span(answer.Envelope.Error);
        var codeAt = JsonFields.Find(error, "code"u8);
        var code = codeAt.IsPresent && JsonRpc.TryReadId(error.Slice(codeAt.Start, codeAt.Length), out var number) ? number : (long?)null;
        var data = JsonFields.Object(error, "data"u8);
        var own = JsonFields.String(JsonFields.Object(data, "mooring"u8), "reason"u8);
        Write(own ?? (JsonFields.String(data, "reason"u8) == "policy" ? "denied" : "error"), code, clientLeft);
    }

    public void End(string outcome, bool clientLeft = false) => Write(outcome, code: null, clientLeft);

    private void Write(string outcome, long? code, bool clientLeft) => _log.Write(_begun with
    {
        Outcome = outcome,
        Server = Server ?? _begun.Server,
        Name = ToolName ?? _begun.Name,
        Duration = _log.Time.GetElapsedTime(_started),
        Code = code,
        ClientLeft = clientLeft,
        IsTask = _isTask,
    });

    /// <summary>Addresses may carry what opens them behind the question mark, or before the host.</summary>
    private static string Plain(string uri)
    {
        var end = uri.AsSpan().IndexOfAny('?', '#');
        var plain = end < 0 ? uri : uri[..end];
        var host = plain.IndexOf("://", StringComparison.Ordinal);
        var at = host < 0 ? -1 : plain.IndexOf('@', host);
        var path = host < 0 ? -1 : plain.IndexOf('/', host + 3);
        return at >= 0 && (path < 0 || at < path) ? plain[..(host + 3)] + plain[(at + 1)..] : plain;
    }
}
