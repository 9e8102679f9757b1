using Mooring.Chaos.Clients;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>
/// One fault, or a row of the same, against sessions under load. That no call is lost or done twice and no session is lost is promised in
/// every round; the rest is for the round to say.
/// </summary>
internal abstract class Round
{
    /// <summary>For <c>--only</c>.</summary>
    public abstract string Name { get; }

    /// <summary>What happens, for the table.</summary>
    public abstract string Title { get; }

    public virtual StandShape Shape => new(Replicas: 1);

    public virtual Conduct Conduct => new();

    /// <summary>Why events may be missing; null where none may.</summary>
    public virtual string? EventsMayBeLost => null;

    /// <summary>Whether nobody may be without tools. Not where the only gateway is down.</summary>
    public virtual bool ToolsAlways => true;

    /// <summary>Why the round cannot be played on this machine; null where it can.</summary>
    public virtual string? Obstacle => null;

    /// <summary>Does what the round is about; returns when everything is whole again.</summary>
    public abstract Task StrikeAsync(Field field, CancellationToken cancel);

    /// <summary>Takes back what was done to the machine.</summary>
    public virtual Task ClearAsync() => Task.CompletedTask;
}

/// <summary>What a round has to work with.</summary>
internal sealed record Field(Stand Stand, Crowd Crowd, Conduct Conduct, bool IsShort)
{
    /// <summary>Lets the load run for that long; less than half as long in a short run.</summary>
    public Task WaitAsync(double seconds, CancellationToken cancel) => Task.Delay(TimeSpan.FromSeconds(IsShort ? seconds * 0.4 : seconds), cancel);
}
