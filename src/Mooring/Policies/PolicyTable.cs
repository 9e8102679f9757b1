using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Mooring.Auth;
using Mooring.Configuration;

namespace Mooring.Policies;

/// <summary>
/// The rules of the configuration, for whoever asks: the first that is for the caller, the server and the tool decides. Read at each use, so that a
/// reload counts from the next question on.
/// </summary>
internal sealed class PolicyTable(ConfigStore config)
{
    private volatile Compiled? _compiled;

    /// <summary>Whether everybody may do everything: then nobody needs to be looked at.</summary>
    public bool IsEmpty => config.Current.Policies.IsEmpty;

    /// <summary>What a person may do.</summary>
    public Access Of(Person person)
    {
        var policies = config.Current.Policies;
        if (policies.IsEmpty)
        {
            return Access.Everything;
        }

        var compiled = _compiled;
        if (compiled is null || !ReferenceEquals(compiled.Policies, policies))
        {
            _compiled = compiled = new Compiled(policies);
        }

        return compiled.Of(person);
    }

    /// <summary>What whoever makes a request may do.</summary>
    public Access Of(HttpContext context) => IsEmpty ? Access.Everything : Of(Person.Of(context));

    /// <summary>The rules of one configuration.</summary>
    private sealed class Compiled(PoliciesConfig policies)
    {
        private readonly AccessRule[] _rules = [.. policies.Rules.Select(rule => new AccessRule(rule))];
        private readonly ConcurrentDictionary<string, Access> _all = new(StringComparer.Ordinal);
        private readonly ConditionalWeakTable<Person, Access> _known = [];

        public PoliciesConfig Policies => policies;

        /// <summary>A token's person is one object for as long as it is remembered.</summary>
        public Access Of(Person person) => _known.GetValue(person, Make);

        private Access Make(Person person)
        {
            var theirs = Enumerable.Range(0, _rules.Length).Where(i => _rules[i].IsFor(person)).ToArray();
            return _all.GetOrAdd(string.Join(',', theirs), _ => new Access([.. theirs.Select(i => _rules[i])], policies.Default ?? PolicyEffect.Allow));
        }
    }
}
