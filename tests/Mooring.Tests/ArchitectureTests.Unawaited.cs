using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using Mooring.Telemetry;
using Xunit;

namespace Mooring.Tests;

/// <content>Looks for tasks that nobody awaits and whose failure nobody would hear of.</content>
public sealed partial class ArchitectureTests
{
    private const BindingFlags OwnMembers = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>What is dropped either catches whatever happens at each of its awaits, or is given a name and a log with <c>Unawaited</c>.</summary>
    [Fact]
    public void Tasks_ThatNobodyAwaits_CatchAllThemselvesOrAreLogged()
    {
        var lost = new[] { Library, Connectors, Program }.SelectMany(a => a.GetTypes()).SelectMany(Lost).Order(StringComparer.Ordinal).ToList();

        Assert.True(lost.Count == 0, string.Join("\n", lost));
    }

    /// <summary>A search that finds nothing may also be one that sees nothing.</summary>
    [Fact]
    public void Tasks_ThatNobodyAwaits_AreSeenThrough() =>
        Assert.Equal(["DropsEither drops FailsAsync", "DropsEither drops FailsInItsCatchAsync", "DropsOne drops CatchesSomeAsync"], Lost(typeof(Dropping)).Select(line => line.Replace("Dropping.", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal));

    private static IEnumerable<string> Lost(Type type) =>
        from method in type.GetMethods(OwnMembers).Cast<MethodBase>().Concat(type.GetConstructors(OwnMembers))
        from dropped in References.Dropped(method)
        where IsBegun(dropped) && !CatchesAll(dropped)
        select $"{type.Name}.{method.Name} drops {dropped.DeclaringType!.Name}.{dropped.Name}";

    [Fact]
    public void Methods_AreNotAsyncVoid() =>
        Assert.Empty(new[] { Library, Connectors, Program }.SelectMany(a => a.GetTypes())
            .Where(t => t.GetFields(OwnMembers).Any(f => f.FieldType == typeof(AsyncVoidMethodBuilder))).Select(t => $"{Outermost(t).Name}: {t.Name}"));

    /// <summary>Whether that begins work. What an await ends with, and a task that somebody keeps, are none.</summary>
    private static bool IsBegun(MethodBase called) => called is MethodInfo { ReturnType: var type, Name: not ("GetResult" or "get_Value") } && IsTask(type);

    private static bool IsTask(Type type) =>
        typeof(Task).IsAssignableFrom(type) || type == typeof(ValueTask) || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ValueTask<>));

    /// <summary>Whether an asynchronous method has each of its awaits in a <c>try</c> with a <c>catch (Exception)</c> that has no condition.</summary>
    private static bool CatchesAll(MethodBase method)
    {
        if (method.GetCustomAttribute<AsyncStateMachineAttribute>()?.StateMachineType.GetMethod("MoveNext", OwnMembers) is not { } steps || steps.GetMethodBody() is not { } body)
        {
            return false;
        }

        // The first that ends last is the compiler's own, which makes the task fail.
        var all = body.ExceptionHandlingClauses.Where(c => c.Flags == ExceptionHandlingClauseOptions.Clause && c.CatchType == typeof(Exception)).ToList();
        var own = all.MaxBy(c => c.HandlerOffset + c.HandlerLength);
        all.Remove(own!);
        return References.Instructions(steps).Where(i => i.Code.OperandType == OperandType.InlineMethod && IsEndOfAwait(References.Resolve(steps, i.Token)))
            .All(i => all.Exists(c => i.At >= c.TryOffset && i.At < c.TryOffset + c.TryLength));
    }

    private static bool IsEndOfAwait(MemberInfo? called) =>
        called is MethodBase { Name: "GetResult", DeclaringType: { } type } && type.Namespace == "System.Runtime.CompilerServices" && type.Name.Contains("Awaiter", StringComparison.Ordinal);

    /// <summary>For the search to find.</summary>
    private static class Dropping
    {
        public static void DropsOne() => _ = CatchesSomeAsync();

        public static void DropsEither(bool which) => _ = which ? FailsAsync() : FailsInItsCatchAsync();

        public static void DropsWhatIsFine()
        {
            _ = CatchesAllAsync();
            FailsAsync().Unawaited(Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        }

        private static async Task FailsAsync() => await Task.Yield();

        private static async Task CatchesSomeAsync()
        {
            try
            {
                await Task.Yield();
            }
            catch (Exception e) when (e is IOException)
            {
                // And nothing else.
            }
        }

        private static async Task FailsInItsCatchAsync()
        {
            try
            {
                await Task.Yield();
            }
            catch (Exception)
            {
                await Task.Yield();
            }
        }

        private static async Task CatchesAllAsync()
        {
            try
            {
                await Task.Yield();
            }
            catch (Exception)
            {
                // All of it.
            }
        }
    }
}
