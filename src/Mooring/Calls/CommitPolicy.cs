using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Replicas;

namespace Mooring.Calls;

/// <summary>Which calls are put on record before their server hears of them.</summary>
internal sealed class CommitPolicy(ReplayPolicy replay, Peers peers)
{
    public bool IsDurable(Call call)
    {
        // Without a first event id there is nothing that a client of an older version could come back with.
        if (call.Request.Method != McpMethod.ToolsCall || !call.Session.HasPrimer)
        {
            return false;
        }

        var config = call.Upstream.Config;
        return ((config.Tools.Count == 0 ? null : config.Tools.GetValueOrDefault(call.ToolName)?.Commit) ?? config.Commit) switch
        {
            CommitRule.Durable => true,
            CommitRule.Fast => false,
            // What is safe to repeat the client repeats by itself. On a store of its own nobody else could go on while this process is away.
            _ => peers.IsShared && !replay.Of(call).IsSafe(),
        };
    }
}
