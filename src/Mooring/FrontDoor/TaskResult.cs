using System.Security.Cryptography;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Tasks;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// One <c>tasks/result</c> of 2025-11-25 for a held task (basic/utilities/tasks, "Retrieving Task Results", "Input Required Status"): waits until the task has
/// ended, and has the client asked on its stream what the server of the task asks. At any replica, and several at once; the first answer counts.
/// </summary>
/// <param name="call">The request.</param>
/// <param name="task">The task as it was found.</param>
/// <param name="shown">How the client knows it.</param>
/// <param name="tasks">Who has it.</param>
/// <param name="news">Who tells of it.</param>
/// <param name="time">The clock.</param>
internal sealed class TaskResult(Call call, HeldTask task, string shown, HeldTasks tasks, TaskNews news, TimeProvider time) : IAsker
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, string> _methods = new(StringComparer.Ordinal);
    private readonly HashSet<string> _open = new(StringComparer.Ordinal);
    private readonly List<string> _interactions = [];

    public string Server => task.Server;

    public bool IsUsable => !call.HasEnded;

    /// <returns>The response.</returns>
    public async Task<byte[]> WaitAsync()
    {
        using var watch = new TaskWatch(task.Id, news, time);
        var now = task;
        while (true)
        {
            if (now.IsFinal)
            {
                TellComplete();
                return ResponseOf(now);
            }

            Ask(now.Status == HeldTaskStatus.InputRequired ? TaskAnswers.Read(now.Body.Span) ?? [] : []);
            await watch.WaitAsync(call.Abandoned);
            try
            {
                if (await tasks.FindAsync(task) is not { } found)
                {
                    return JsonRpc.Error(call.ClientId.Span, JsonRpc.InvalidParams, $"Unknown task: {shown}");
                }

                now = found;
            }
            catch (StoreException)
            {
                // The next look finds it.
            }
        }
    }

    /// <summary>The client's answer to what was asked, for the call of the task.</summary>
    public async ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel)
    {
        var answer = Frame.Parse(json.ToArray());
        if (answer.Kind is not (FrameKind.Result or FrameKind.Error))
        {
            // How far it is with its answer nobody can be told.
            return true;
        }

        var key = JsonText.Read(answer.Id);
        try
        {
            // Where it runs just now.
            if (await tasks.FindAsync(task) is not { } found)
            {
                return true;
            }

            var (said, isError) = Said(key, answer);
            byte[] byKey = [(byte)'{', .. JsonText.Quote(key), (byte)':', .. said, (byte)'}'];
            return isError ? await tasks.RefuseAsync(found, byKey) : await tasks.AnswerAsync(found, byKey);
        }
        catch (StoreException)
        {
            return false;
        }
    }

    /// <summary>As the extension has it: an answer is an object, and a form that is not answered is cancelled.</summary>
    private (byte[] Said, bool IsError) Said(string key, Frame answer)
    {
        if (answer.Kind == FrameKind.Result)
        {
            var result = answer.Span(answer.Envelope.Result);
            return result[0] == '{' ? (RelatedTask.Without(result), false) : ([.. "{\"code\":-32603,\"message\":\"The client's answer is no object.\"}"u8], true);
        }

        lock (_gate)
        {
            return _methods[key] == "elicitation/create" ? ([.. "{\"action\":\"cancel\"}"u8], false) : (answer.Span(answer.Envelope.Error).ToArray(), true);
        }
    }

    /// <summary>Has the client asked what it was not asked here yet; what is asked no longer, it is told.</summary>
    private void Ask(List<(string Key, byte[] Request)> questions)
    {
        foreach (var (key, question) in questions)
        {
            if (IsAsked(key))
            {
                continue;
            }

            // Noted first: the answer may be here before this goes on.
            var method = JsonFields.String(question, "method"u8) ?? "";
            lock (_gate)
            {
                _methods[key] = method;
            }

            var parameters = JsonFields.Object(question, "params"u8);
            var request = RequestOf(key, method, parameters.IsEmpty ? "{}"u8 : parameters);
            if (call.Session.Questions.Ask(this, request, call, isItsOwn: true, map: null) is not { } line)
            {
                // It has too many to answer: with the next look.
                lock (_gate)
                {
                    _methods.Remove(key);
                }

                return;
            }

            _open.Add(key);
            call.Reply.Send(line);
        }

        foreach (var key in _open.Where(open => !questions.Exists(question => question.Key == open)).ToList())
        {
            _open.Remove(key);
            if (call.Session.Questions.Cancel(this, Frame.Parse(JsonRpc.Cancelled(JsonText.Quote(key), "its server no longer asks"))) is { } line)
            {
                call.Reply.Send(line);
            }
        }
    }

    private bool IsAsked(string key)
    {
        lock (_gate)
        {
            return _methods.ContainsKey(key);
        }
    }

    private Frame RequestOf(string key, string method, ReadOnlySpan<byte> parameters)
    {
        var said = RelatedTask.AddTo(parameters, shown);
        if (method == "elicitation/create" && JsonFields.String(said, "mode"u8) == "url" && !JsonFields.Has(said, "elicitationId"u8))
        {
            // 2025-11-25 wants one, by which the client hears that it is done.
            var interaction = RandomNumberGenerator.GetHexString(32, lowercase: true);
            _interactions.Add(interaction);
            said = JsonFields.Prepend(said, [.. "\"elicitationId\":"u8, .. JsonText.Quote(interaction)]);
        }

        return Frame.Parse([.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. JsonText.Quote(key), .. ",\"method\":"u8, .. JsonText.Quote(method), .. ",\"params\":"u8, .. said, (byte)'}']);
    }

    private void TellComplete()
    {
        foreach (var interaction in _interactions)
        {
            byte[] parameters = [.. "{\"elicitationId\":"u8, .. JsonText.Quote(interaction), (byte)'}'];
            call.Reply.Send(JsonRpc.Notification("notifications/elicitation/complete", parameters));
        }
    }

    /// <summary>What the call itself would have been answered, with the note which task it is of.</summary>
    private byte[] ResponseOf(HeldTask ended)
    {
        var id = call.ClientId.Span;
        if (ended.Status != HeldTaskStatus.Completed)
        {
            return ended.Status == HeldTaskStatus.Failed
                ? [.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. id, .. ",\"error\":"u8, .. ended.Body.Span, (byte)'}']
                : JsonRpc.Error(id, JsonRpc.InternalError, ended.Message ?? "Cancelled by its client.");
        }

        var answer = Frame.Parse(JsonRpc.Result(id, ended.Body.Span));
        if (answer.Bytes.IndexOf("resource_link"u8) >= 0)
        {
            // Names are those of its route already; but the client may want to read what it is linked to.
            answer = Frame.Parse(call.Session.ToClient(call.Upstream, answer.Bytes.ToArray()));
        }

        if (OlderClients.Answer(call.Session.Version, McpMethod.ToolsCall, answer) is { } older)
        {
            answer = Frame.Parse(older);
        }

        var result = answer.Span(answer.Envelope.Result);
        return result[0] == '{' ? JsonRpc.Result(id, RelatedTask.AddTo(result, shown)) : answer.Bytes.ToArray();
    }
}
