using System.Reflection;
using Xunit;

namespace Mooring.Tests;

/// <content>Looks for clocks other than the gateway's in what was compiled, whatever the analyzers were told.</content>
public sealed partial class ArchitectureTests
{
    [Fact]
    public void CompiledCode_UsesNoClockBesideTheOne() =>
        Assert.Empty(new[] { Library, Connectors, Program }.SelectMany(assembly => ClocksIn(assembly).Select(clock => $"{assembly.GetName().Name}: {clock}")));

    [Theory]
    [InlineData(typeof(HttpClient), "Environment.get_TickCount64")]
    [InlineData(typeof(HttpClient), "DateTime.get_UtcNow")]
    [InlineData(typeof(HttpClient), "Task.Delay")]
    [InlineData(typeof(HttpClient), "CancellationTokenSource.CancelAfter")]
    [InlineData(typeof(HttpClient), "Stopwatch.GetTimestamp")]
    [InlineData(typeof(HttpClient), "Timer..ctor")]
    [InlineData(typeof(System.Threading.Channels.Channel), null)]
    public void CompiledCode_OfAssembliesWithOtherClocks_IsSeenThrough(Type of, string? clock)
    {
        var found = ClocksIn(of.Assembly);
        Assert.True(clock is null ? found.Count == 0 : found.Contains(clock), string.Join(", ", found));
    }

    /// <summary>Members of other assemblies that are called here and read a clock, or wait, without being given one.</summary>
    private static IReadOnlySet<string> ClocksIn(Assembly assembly)
    {
        const int MemberReferences = 0x0A000000;
        var found = new SortedSet<string>(StringComparer.Ordinal);
        for (var row = 1; ; row++)
        {
            try
            {
                if (assembly.ManifestModule.ResolveMember(MemberReferences | row) is MethodBase method && IsClock(method))
                {
                    found.Add($"{method.DeclaringType!.Name}.{method.Name}");
                }
            }
            catch (ArgumentOutOfRangeException)
            {
                return found;
            }
            catch (Exception e) when (e is ArgumentException or BadImageFormatException or MissingMemberException or FileNotFoundException)
            {
                // A member of an open generic type, or of an assembly that is not here: no clock.
            }
        }
    }

    private static bool IsClock(MethodBase method)
    {
        var type = method.DeclaringType;
        if (type == typeof(DateTime) || type == typeof(DateTimeOffset))
        {
            return method.Name is "get_Now" or "get_UtcNow" or "get_Today";
        }

        if (type == typeof(Environment))
        {
            return method.Name is "get_TickCount" or "get_TickCount64";
        }

        if (type == typeof(System.Diagnostics.Stopwatch) || type?.FullName == "System.Threading.Timer")
        {
            return true;
        }

        var waits = (type == typeof(Task) && method.Name is "Delay" or "WaitAsync" or "Wait")
            || (type == typeof(Thread) && method.Name == "Sleep") || type == typeof(PeriodicTimer) || type == typeof(CancellationTokenSource);
        var given = method.GetParameters().Select(p => p.ParameterType).ToList();
        return waits && (given.Contains(typeof(TimeSpan)) || given.Contains(typeof(int))) && !given.Contains(typeof(TimeProvider));
    }
}
