using Mooring.Chaos.Clients;
using Mooring.Chaos.Rounds;
using Mooring.Chaos.Servers;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos;

/// <summary>What came out of one round, and what of it breaks a promise.</summary>
internal sealed class Result(Round round, StandShape shape, Population population, Tally tally, Dictionary<string, int> executed, Evidence evidence)
{
    /// <summary>A list whose connection broke is asked for again after 0.3 s; longer than this is more than the connection that broke.</summary>
    private static readonly TimeSpan ToolsLimit = TimeSpan.FromSeconds(2);

    /// <summary>All of them are to be met in each round.</summary>
    private static readonly Pair[] Pairs = [new(false, false), new(false, true), new(true, false), new(true, true)];

    private const string Titles =
        "| round | gateways, store | sessions | clients without one | calls | result | after resume | by task | not executed | error | unknown | cut | cut in 2024-11-05 | cut in 2025-03-26 | cut in 2025-06-18 | cut in 2026-07-28 | lost | done twice | answered, not done | refused, yet done | " +
        "events | events lost | lost without an id | events repeated | tasks: begun / true / untrue / lost | sessions lost | wrong lists | without tools | without tools in 2024-11-05 | reconnects | resumed in p50 / p99 | what happened | verdict | build | load |";

    public static string Head { get; } = Titles + "\n|" + string.Concat(Enumerable.Repeat("---|", Titles.Count(c => c == '|') - 1));

    /// <summary>Cells of a row but for the two that say with what it was measured.</summary>
    public static int Columns { get; } = Titles.Count(c => c == '|') - 3;

    private int Lost => tally.Count(Outcome.Lost);

    /// <summary>Executions beyond the first. No key is sent again after it may have been executed.</summary>
    private int Twice => executed.Sum(entry => entry.Value - 1);

    private int NeverDone => tally.Calls.Count(call => call.Value is Outcome.Answered or Outcome.Resumed or Outcome.ByTask && !executed.ContainsKey(call.Key));

    private int DoneThough => tally.Calls.Count(call => call.Value == Outcome.Refused && executed.ContainsKey(call.Key));

    private int TasksLost => tally.Tasks.Count(task => task.Value == TaskEnd.Lost);

    /// <summary>Tasks whose end is not what was done: completed without being executed once, failed as not executed though it was, or done twice whatever was said.</summary>
    private int TasksUntrue => tally.Tasks.Count(task => task.Value switch
    {
        TaskEnd.Lost => false,
        TaskEnd.Completed => executed.GetValueOrDefault(task.Key) != 1,
        TaskEnd.NotExecuted => executed.ContainsKey(task.Key),
        TaskEnd.Forgotten => round.ServersKeepTasks || executed.GetValueOrDefault(task.Key) > 1,
        TaskEnd.Unknown or TaskEnd.Failed => executed.GetValueOrDefault(task.Key) > 1,
        _ => true,
    });

    /// <summary>For whom from whom calls that servers made tasks of came to their end.</summary>
    private HashSet<Pair> ServersTasks => [.. tally.Errands.Where(errand => Errands.WasTask(executed, errand.Key)).Select(errand => errand.Value)];

    private string Tasks => $"{tally.Tasks.Count} / {tally.Tasks.Count - TasksUntrue - TasksLost} / {TasksUntrue} / {TasksLost}";

    /// <summary>Promises that were broken.</summary>
    public IReadOnlyList<string> Broken
    {
        get
        {
            var broken = new List<string>();
            Check(Lost, "lost");
            Check(Twice, "done twice");
            Check(NeverDone, "answered but not done");
            Check(DoneThough, "refused but done");
            Check(TasksUntrue, "untrue tasks");
            Check(TasksLost, "tasks lost");
            Check(tally.SessionsLost, "sessions lost");
            Check(tally.EventsRepeated, "events repeated");
            Check(Math.Max(0, tally.EventsLost - evidence.Forgiven), "events lost");
            Check(round.ListsAlways ? tally.WrongLists : 0, "wrong lists");
            // A short round shares the machine with others: how long something took there says nothing.
            Check(!shape.IsShort && round.ToolsAlways && tally.WithoutTools > ToolsLimit ? 1 : 0, "without tools");
            Check(!shape.IsShort && round.ToolsAlwaysLegacy && tally.WithoutToolsLegacy > ToolsLimit ? 1 : 0, "without tools in 2024-11-05");
            broken.AddRange(Pairs.Where(pair => !tally.Pairs.ContainsKey(pair)).Select(pair => $"nothing answered to {pair}"));
            broken.AddRange(Pairs.Where(pair => !ServersTasks.Contains(pair)).Select(pair => $"no task of a server's own came to its end for {pair}"));
            Check(tally.Results == 0 ? 1 : 0, "nothing answered");
            Check(round.ResumeLimit is not null && tally.Resumptions.IsEmpty ? 1 : 0, "not back");
            Check(!shape.IsShort && round.ResumeLimit is { } limit && ResumedIn(0.99) > limit.TotalMilliseconds ? 1 : 0, "not back in time");
            Check(evidence.IsEmpty ? 1 : 0, "the fault left no trace");
            broken.AddRange(evidence.Missing.Select(missing => $"the fault did not happen: {missing}"));
            return broken;

            void Check(long count, string what)
            {
                if (count > 0)
                {
                    broken.Add(what);
                }
            }
        }
    }

    public IEnumerable<string> Notes => tally.Notes;

    public string Verdict => Broken.Count == 0 ? "kept" : $"**broken: {string.Join(", ", Broken)}**";

    /// <summary>All counts in one line, for a round that is no row of the table.</summary>
    public string Line =>
        $"{population.Sessions} sessions and {population.WithoutSession} clients without one, {tally.Calls.Count} calls: {tally.Count(Outcome.Answered)} answered, {tally.Count(Outcome.Resumed)} after resume, {tally.Count(Outcome.ByTask)} by task, {tally.Count(Outcome.Refused)} not executed, " +
        $"{tally.Count(Outcome.Failed)} error, {tally.Count(Outcome.Unknown)} unknown, {tally.Count(Outcome.Cut)} cut, {tally.Count(Outcome.CutLegacy)} cut in 2024-11-05, {tally.Count(Outcome.CutOldest)} cut in 2025-03-26, {tally.Count(Outcome.CutOlder)} cut in 2025-06-18, {tally.Count(Outcome.CutStateless)} cut in 2026-07-28; {Lost} lost, {Twice} twice, {NeverDone} not done, {DoneThough} done though refused, " +
        $"tasks {Tasks} ({executed.Count(entry => Errands.IsTask(entry.Key))} of servers' own), {tally.SessionsLost} sessions lost, {tally.WrongLists} wrong lists, {tally.WithoutTools.TotalSeconds:0.0} s without tools, {tally.WithoutToolsLegacy.TotalSeconds:0.0} s in 2024-11-05, {tally.EventsLost} of {tally.EventsExpected} events lost, " +
        $"{tally.EventsWithoutId} without an id, {tally.EventsRepeated} repeated, {tally.Reconnects} reconnects; {evidence}";

    public override string ToString() =>
        $"| {round.Title} (`{round.Name}`) | {Gateways}, {shape.StoreName} | {population.Sessions} | {population.WithoutSession} | {tally.Calls.Count} | " +
        $"{tally.Count(Outcome.Answered)} | {tally.Count(Outcome.Resumed)} | {tally.Count(Outcome.ByTask)} | {tally.Count(Outcome.Refused)} | {tally.Count(Outcome.Failed)} | {tally.Count(Outcome.Unknown)} | " +
        $"{tally.Count(Outcome.Cut)} | {tally.Count(Outcome.CutLegacy)} | {tally.Count(Outcome.CutOldest)} | {tally.Count(Outcome.CutOlder)} | {tally.Count(Outcome.CutStateless)} | {Lost} | {Twice} | {NeverDone} | {DoneThough} | {tally.EventsExpected} | {tally.EventsLost} | {tally.EventsWithoutId} | {tally.EventsRepeated} | " +
        $"{Tasks} | {tally.SessionsLost} | {tally.WrongLists} | {tally.WithoutTools.TotalSeconds:0.0} s | {tally.WithoutToolsLegacy.TotalSeconds:0.0} s | {tally.Reconnects} | {Resumed} | {evidence} | " +
        $"{Verdict} |";

    private string Gateways => shape.Places == shape.Replicas ? $"{shape.Replicas}" : $"{shape.Replicas} to {shape.Places}";

    private string Resumed => tally.Resumptions.IsEmpty ? "–" : $"{ResumedIn(0.5):0} / {ResumedIn(0.99):0} ms";

    private double ResumedIn(double share)
    {
        var sorted = tally.Resumptions.DefaultIfEmpty().Order().ToList();
        return sorted[Math.Min(sorted.Count - 1, (int)(sorted.Count * share))];
    }
}
