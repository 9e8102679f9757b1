using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Routing;

namespace Mooring.Calls;

/// <summary>Whether a request whose outcome is unknown may be sent again, and why.</summary>
internal enum Repeating
{
    /// <summary>The tool declares neither of the hints, or nothing is known of it; or the method is none that may be repeated.</summary>
    NotDeclared,

    /// <summary>The configuration says that it must not be.</summary>
    Forbidden,

    /// <summary>The method, or the tool by its <c>readOnlyHint</c>, only reads.</summary>
    Reads,

    /// <summary>Twice is once: the tool says so (<c>idempotentHint</c>), or the method sets and does not count.</summary>
    Idempotent,

    /// <summary>The configuration says that it may be.</summary>
    Allowed,
}

/// <summary>Which requests may be executed twice, so that one with an unknown outcome may be sent again (invariant 9), and which of them carry a key by which their server can tell.</summary>
internal sealed class ReplayPolicy(Catalogue catalogue)
{
    public Repeating Of(Call call) => call.Request.Method switch
    {
        McpMethod.ToolsCall => OfTool(call),
        McpMethod.PromptsGet or McpMethod.ResourcesRead or McpMethod.Complete or McpMethod.TasksGet or McpMethod.TasksList => Repeating.Reads,
        McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe or McpMethod.SetLevel => Repeating.Idempotent,
        _ => Repeating.NotDeclared,
    };

    /// <summary>Whether a call tells its server an idempotency key.</summary>
    public bool HasKey(Call call)
    {
        if (call.Request.Method != McpMethod.ToolsCall)
        {
            return false;
        }

        var config = call.Upstream.Config;
        return ((config.Tools.Count == 0 ? null : config.Tools.GetValueOrDefault(call.ToolName)?.IdempotencyKey) ?? config.IdempotencyKey) switch
        {
            KeyRule.Always => true,
            KeyRule.Never => false,
            // Who only reads has nothing to recognise a repetition for.
            _ => OfTool(call) is Repeating.Idempotent or Repeating.Allowed,
        };
    }

    private Repeating OfTool(Call call)
    {
        var rules = call.Upstream.Config.Tools;
        var tools = catalogue.ToolsOf(call.Session, call.Upstream);
        if (rules.Count == 0 && tools is not { HasHints: true })
        {
            // On the way of every call: nobody needs the name.
            return Repeating.NotDeclared;
        }

        if (rules.GetValueOrDefault(call.ToolName)?.Replay is { } said)
        {
            return said ? Repeating.Allowed : Repeating.Forbidden;
        }

        var hints = tools?.Find(call.ToolName)?.Hints ?? ToolHints.None;
        return hints.HasFlag(ToolHints.ReadOnly) ? Repeating.Reads
            : hints.HasFlag(ToolHints.Idempotent) ? Repeating.Idempotent
            : Repeating.NotDeclared;
    }
}

/// <summary>What follows from it, and its words in logs and metrics.</summary>
internal static class Repeatings
{
    public static bool IsSafe(this Repeating repeating) => repeating is Repeating.Reads or Repeating.Idempotent or Repeating.Allowed;

    /// <summary>The tag <c>reason</c> of what is sent again, and of what is not.</summary>
    public static string ToTag(this Repeating repeating) => repeating switch
    {
        Repeating.Reads or Repeating.Idempotent => "declared_safe",
        Repeating.Allowed => "configured",
        Repeating.Forbidden => "forbidden",
        _ => "not_declared",
    };
}
