using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Tasks;

namespace Mooring.FrontDoor;

/// <summary>
/// Answers <c>tasks/get</c>, <c>tasks/update</c> and <c>tasks/cancel</c> of the tasks extension, at any replica: for the person whose task it is, on the route
/// where it was made.
/// </summary>
internal sealed partial class TaskMethods(HeldTasks tasks, ILogger<TaskMethods> logger)
{
    public static bool Has(McpMethod method) => method is McpMethod.TasksGet or McpMethod.TasksUpdate or McpMethod.TasksCancel;

    /// <summary>What a request that needs the extension lacks; null: nothing.</summary>
    public static Refusal? Lacks(Session session) => TasksExtension.IsIn(JsonFields.Object(session.Record.InitializeParams.Span, "capabilities"u8))
        ? null
        : new Refusal(400, JsonRpc.MissingCapability, $"Missing required client capability: the extension {TasksExtension.Name}.", [.. TasksExtension.Required]);

    /// <summary>Never throws.</summary>
    public async Task AnswerAsync(Session session, Frame request, Reply reply)
    {
        try
        {
            var at = request.Envelope.TaskId;
            if (!at.IsPresent || request.Span(at)[0] != '"')
            {
                reply.Refuse(request, JsonRpc.InvalidParams, $"{request.MethodName} needs a string taskId.");
                return;
            }

            var id = request.Text(at);
            var answers = request.Method == McpMethod.TasksUpdate ? AnswersOf(request) : [];
            if (answers is null)
            {
                reply.Refuse(request, JsonRpc.InvalidParams, "inputResponses has to be an object of one result, an object too, for each question.");
            }
            else if (await tasks.FindAsync(session.Principal, session.Server, id) is not { } task)
            {
                reply.Refuse(request, JsonRpc.InvalidParams, $"Task not found: {id}");
            }
            else if (request.Method == McpMethod.TasksGet)
            {
                reply.Answer(request, TaskState.Got(task));
            }
            else if (request.Method == McpMethod.TasksUpdate ? await tasks.AnswerAsync(task, answers) : await tasks.CancelAsync(task))
            {
                reply.Answer(request, "{}"u8);
            }
            else
            {
                reply.RefuseForStore(request, "The gateway process that runs the task cannot be told just now. Try again.");
            }
        }
        catch (StoreException)
        {
            // That the store is away is said by the store, once; here it would be said for every request.
            reply.RefuseForStore(request, "The gateway's store is not reachable just now; the task is not lost. Try again.");
        }
        catch (Exception e)
        {
            // A bug of ours must not leave the client waiting.
            Log.Failed(logger, e, request.MethodName);
            reply.Refuse(request, JsonRpc.InternalError, "The gateway failed to answer.");
        }
    }

    private static byte[]? AnswersOf(Frame request)
    {
        var parameters = request.Span(request.Envelope.Params);
        var answers = JsonFields.Object(parameters, "inputResponses"u8);
        return TaskAnswers.Read(answers) is null ? null : answers.ToArray();
    }

    private static partial class Log
    {
        [LoggerMessage(904, LogLevel.Error, "{Method} failed.", EventName = "TaskMethodFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string method);
    }
}
