using Mooring.Auth;
using Mooring.Policies;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>What its client may hear of. What it may do is each request's own (<see cref="Calls.Reply.Access"/>).</content>
internal sealed partial class Session
{
    private Person? _person;

    /// <summary>Who used it last, with the groups and roles that were said then; null while nobody did here.</summary>
    public Person? Person
    {
        get => Volatile.Read(ref _person);
        set => Volatile.Write(ref _person, value);
    }

    /// <summary>What whoever used it last may do now.</summary>
    public Access Access => Person is { } person ? _services.Policies.Of(person) : Access.Everything;

    /// <summary>Whether its client is told what a server says of its own accord.</summary>
    public bool MayHear(Upstream upstream) => !Access.Hides(upstream.Name);
}
