using Mooring.Protocol;
using Mooring.Routing;

namespace Mooring.Calls;

/// <summary>Which requests may be executed twice, so that one with an unknown outcome may be sent again (invariant 9).</summary>
internal sealed class ReplayPolicy(Catalogue catalogue)
{
    public bool IsSafe(Call call) => call.Request.Method switch
    {
        // Reading is the nature of these methods.
        McpMethod.PromptsGet or McpMethod.ResourcesRead or McpMethod.Complete or McpMethod.TasksGet or McpMethod.TasksList => true,
        // Sets, not counters: twice is once.
        McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe or McpMethod.SetLevel => true,
        McpMethod.ToolsCall => IsSafeTool(call),
        _ => false,
    };

    private bool IsSafeTool(Call call)
    {
        var name = call.Renamed is { } renamed ? JsonText.Read(renamed.With.Span) : call.Request.Text(call.Request.Envelope.Name);
        return call.Upstream.Config.Tools.GetValueOrDefault(name)?.Replay ?? catalogue.IsDeclaredSafe(call.Session, call.Upstream, name);
    }
}
