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

    public virtual StandShape Shape => new(Replicas: 2);

    public virtual Conduct Conduct => new();

    /// <summary>Why events may be missing; null where none may.</summary>
    public virtual string? EventsMayBeLost => null;

    /// <summary>Whether nobody may be without tools. Not where the only gateway is down.</summary>
    public virtual bool ToolsAlways => true;

    /// <summary>Longest time, at the 99th percentile, in which a stream must be back; null where the fault itself keeps it away.</summary>
    public virtual TimeSpan? ResumeLimit => null;

    /// <summary>Why the round cannot be played on this machine; null where it can.</summary>
    public virtual string? Obstacle => null;

    /// <summary>Does what the round is about; returns when everything is whole again.</summary>
    public abstract Task StrikeAsync(Field field, CancellationToken cancel);

    /// <summary>Takes back what was done to the machine.</summary>
    public virtual Task ClearAsync() => Task.CompletedTask;
}

/// <summary>What a round has to work with.</summary>
internal sealed record Field(Stand Stand, Crowd Crowd, Conduct Conduct, Evidence Evidence, bool IsShort)
{
    /// <summary>Writes down that calls are under way now, which a fault in an idle moment would not prove anything without.</summary>
    public void ShowCallsUnderWay() => Evidence.Show("calls under way", Crowd.Tally.UnderWay);

    public void ShowKill(int exitCode) => Evidence.Show("killed", exitCode == 128 + 9 ? 1 : 0);

    public void ShowStop(int exitCode) => Evidence.Show("stopped by themselves", exitCode == 0 ? 1 : 0);

    /// <summary>That every gateway has said these words, which it says only when the fault reached it.</summary>
    public void ShowSaid(string words)
    {
        foreach (var replica in Stand.Replicas)
        {
            Evidence.Show($"× \"{words}\"", replica.Log.Split(words).Length - 1);
        }
    }

    /// <summary>Lets the load run for that long; less than half as long in a short run.</summary>
    public Task WaitAsync(double seconds, CancellationToken cancel) => Task.Delay(TimeSpan.FromSeconds(IsShort ? seconds * 0.4 : seconds), cancel);
}
