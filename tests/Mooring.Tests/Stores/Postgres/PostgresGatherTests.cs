using Mooring.Stores;
using Mooring.Stores.Postgres;
using Xunit;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>Questions that go together while others are under way.</summary>
public sealed class PostgresGatherTests
{
    private readonly List<(IReadOnlyList<int> Questions, TaskCompletionSource<IReadOnlyList<(int, string)>> Answers)> _asked = [];
    private readonly PostgresGather<int, string> _gather;

    public PostgresGatherTests() => _gather = new PostgresGather<int, string>(questions =>
    {
        lock (_asked)
        {
            _asked.Add((questions, new TaskCompletionSource<IReadOnlyList<(int, string)>>()));
            return _asked[^1].Answers.Task;
        }
    });

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Many_WhileSomeAreUnderWay_GoTogetherAndEachGetsItsOwn()
    {
        var answers = Enumerable.Range(0, 1100).Select(i => _gather.AskAsync(i, Cancel)).ToList();
        Assert.Equal(Enumerable.Range(0, PostgresGather<int, string>.AtOnce).Select(i => new[] { i }), _asked.Select(one => one.Questions));

        for (var next = 0; next < _asked.Count; next++)
        {
            var (questions, done) = _asked[next];

            // In another order than asked, and without those that are not there.
            done.SetResult([.. questions.Select((question, place) => (place, $"{question}")).Where(one => int.Parse(one.Item2) % 10 != 9).Reverse()]);
        }

        Assert.Equal([1, 1, 1, 1, 500, 500, 96], _asked.Select(one => one.Questions.Count));
        for (var i = 0; i < answers.Count; i++)
        {
            Assert.Equal(i % 10 == 9 ? null : $"{i}", await Limit.Of(answers[i], $"answer {i}"));
        }
    }

    [Fact]
    public async Task Question_ThatFails_FailsThoseWithIt_AndTheNextAreAsked()
    {
        var answers = Enumerable.Range(0, 6).Select(i => _gather.AskAsync(i, Cancel)).ToList();

        _asked[0].Answers.SetException(new StoreException("it is away"));
        await Assert.ThrowsAsync<StoreException>(() => answers[0]);
        Assert.Equal([4, 5], _asked[4].Questions);
        _asked[4].Answers.SetException(new StoreException("it is away"));
        await Assert.ThrowsAsync<StoreException>(() => answers[4]);
        await Assert.ThrowsAsync<StoreException>(() => answers[5]);

        var next = _gather.AskAsync(6, Cancel);
        _asked[5].Answers.SetResult([(0, "six")]);
        Assert.Equal("six", await Limit.Of(next, "the next answer"));
    }

    [Fact]
    public async Task Question_WhoseAskerLeaves_IsNotWaitedFor()
    {
        using var left = new CancellationTokenSource();
        var waiting = Enumerable.Range(0, PostgresGather<int, string>.AtOnce + 1).Select(i => _gather.AskAsync(i, left.Token)).ToList();

        await left.CancelAsync();

        foreach (var one in waiting)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one);
        }

        _asked[0].Answers.SetResult([]);
        Assert.Equal([4], _asked[4].Questions);
    }
}
