namespace Mooring.Drain;

/// <summary>How far a drain is, at one moment.</summary>
/// <param name="Stage">Null: none was begun. The last one stays when it is over.</param>
/// <param name="Sessions">In memory.</param>
/// <param name="Calls">Under way.</param>
/// <param name="Elapsed">Since it began; how long it took when it is over.</param>
/// <param name="AtMost">How long it may take in all.</param>
/// <param name="CutOff">Calls that did not finish in time; known when it is over.</param>
/// <param name="Failed">Whether it ended before its last stage, by a fault of the gateway or because its host stopped.</param>
internal readonly record struct DrainProgress(
    DrainStage? Stage, int Sessions, int Calls, TimeSpan Elapsed, TimeSpan AtMost, int CutOff, bool IsDone, bool Failed)
{
    /// <summary>The stage as programs read it; null where no drain was begun.</summary>
    public string? Word => Failed ? "failed" : IsDone ? "drained" : Stage switch
    {
        DrainStage.Unready => "unready",
        DrainStage.CloseStreams => "closing_streams",
        DrainStage.FinishCalls => "finishing_calls",
        DrainStage.AbortRest => "aborting_rest",
        _ => null,
    };
}
