using System.Collections.Concurrent;
using Mooring.Configuration;

namespace Mooring.Policies;

/// <summary>What one caller may do: the rules that are for him, in their order. Immutable; callers of the same rules share one.</summary>
internal sealed class Access
{
    /// <summary>Where there are no rules; and of what another replica has looked at already.</summary>
    public static readonly Access Everything = new([], PolicyEffect.Allow) { IsEverything = true };

    private readonly ConcurrentDictionary<string, Server> _servers = new(StringComparer.Ordinal);
    private readonly AccessRule[] _rules;
    private readonly PolicyEffect _otherwise;

    public Access(AccessRule[] rules, PolicyEffect otherwise)
    {
        _rules = rules;
        _otherwise = otherwise;
    }

    /// <summary>Whether nobody has to ask. Where there are rules it is false also for one whom none of them is for: what he sees is not what everybody sees.</summary>
    public bool IsEverything { get; private init; }

    /// <summary>For what of a server is no tool: prompts, resources, and other methods.</summary>
    public PolicyEffect To(string server) => IsEverything ? PolicyEffect.Allow : Of(server).Rest;

    public PolicyEffect ToTool(string server, string tool) => IsEverything ? PolicyEffect.Allow : Of(server).ToTool(tool);

    /// <summary>Whether nothing of a server may be used: it is as if it were not there.</summary>
    public bool Hides(string server) => !IsEverything && Of(server).IsHidden;

    /// <summary>Whether all of a server may be used.</summary>
    public bool ShowsAll(string server) => IsEverything || Of(server).IsOpen;

    private Server Of(string server) => _servers.TryGetValue(server, out var known) ? known : _servers.GetOrAdd(server, Make);

    private Server Make(string server)
    {
        var ofTools = new List<AccessRule>();
        foreach (var rule in _rules)
        {
            if (!rule.IsForServer(server))
            {
                continue;
            }

            if (rule.Tools.Count == 0)
            {
                // Nothing after it is ever asked.
                return new Server([.. ofTools], rule.Effect);
            }

            ofTools.Add(rule);
        }

        return new Server([.. ofTools], _otherwise);
    }

    /// <summary>What is said of one server.</summary>
    private sealed class Server(AccessRule[] ofTools, PolicyEffect rest)
    {
        public PolicyEffect Rest => rest;

        public bool IsHidden { get; } = rest == PolicyEffect.Deny && Array.TrueForAll(ofTools, rule => rule.Effect == PolicyEffect.Deny);

        public bool IsOpen { get; } = rest == PolicyEffect.Allow && Array.TrueForAll(ofTools, rule => rule.Effect == PolicyEffect.Allow);

        public PolicyEffect ToTool(string tool) => Array.Find(ofTools, rule => rule.IsForTool(tool))?.Effect ?? rest;
    }
}
