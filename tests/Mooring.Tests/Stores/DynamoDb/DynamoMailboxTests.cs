using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>The places of unread letters lie in one item, which has to stay small: a mailbox has room for so many.</summary>
public sealed class DynamoMailboxTests(SharedDynalite shared)
{
    private const int Most = 3;

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Post_ItsMailboxIsFull_IsRefusedAndLeavesNothing_UntilSomeWasRead()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await OpenAsync(fixture);
        await store.BeatAsync("slow", "", Long);
        for (var i = 1; i <= Most; i++)
        {
            Assert.Equal(i, await store.PostAsync("slow", "call", $"{i}", Utf8($"{i}")));
        }

        await fixture.Server.AskedAsync();
        var full = await Assert.ThrowsAsync<MailboxFullException>(() => store.PostAsync("slow", "call", "late", new byte[2 * DynamoBodies.ChunkBytes]));

        Assert.Equal("The mailbox of replica slow is full: it has 3 letters that it has not read.", full.Message);
        Assert.Equal(["GetItem"], (await fixture.Server.AskedAsync()).Keys);
        // What is there is known as ever, and the store is none that is away.
        Assert.Equal(2, await store.PostAsync("slow", "call", "2", Utf8("2")));
        Assert.Null(store.AwaySince);
        Assert.True(await store.AcknowledgeAsync("slow", 1));
        Assert.Equal(4, await store.PostAsync("slow", "call", "late", Utf8("late")));
        Assert.Equal(["2", "3", "late"], (await store.ReadMailboxAsync("slow", 0, 10, Cancel)).Select(mail => Text(mail.Body)));
    }

    [Fact]
    public async Task Post_ManyAtOnce_NoMoreThanThereIsRoomFor()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        DynamoDbStore[] stores = [await OpenAsync(fixture), await OpenAsync(fixture)];
        await stores[0].BeatAsync("slow", "", Long);

        var posts = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(() => TryPostAsync(stores[i % 2], "slow", $"{i}"), Cancel)));

        Assert.Equal(Most, posts.Count(isPosted => isPosted));
        Assert.Equal(Most, (await stores[0].ReadMailboxAsync("slow", 0, 100, Cancel)).Count);
    }

    [Fact]
    public async Task TakeOver_ByOneWhoseMailboxIsFull_MovesTheLettersAllTheSame()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await OpenAsync(fixture);
        await store.BeatAsync("winner", "", Long);
        await FillAsync(store, "winner");
        await store.BeatAsync("dead", "", TimeSpan.Zero);
        await FillAsync(store, "dead");

        Assert.True(await store.TryTakeOverAsync("dead", "winner"));

        Assert.Equal(
            ["winner 1", "winner 2", "winner 3", "dead 1", "dead 2", "dead 3"], (await store.ReadMailboxAsync("winner", 0, 100, Cancel)).Select(mail => Text(mail.Body)));
        Assert.False(await TryPostAsync(store, "dead", "late"));
    }

    [Fact]
    public async Task TakeOver_OfMoreThanOneItemMayHold_TheRestComesOnceSomeWasRead_AndNoneTwice()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await OpenAsync(fixture);
        await store.BeatAsync("winner", "", Long);
        for (var i = 0; i < 11; i++)
        {
            await store.BeatAsync($"dead{i}", "", TimeSpan.Zero);
            await FillAsync(store, $"dead{i}");
            if (i == 10)
            {
                // There is room for one of the last three.
                Assert.True(await store.AcknowledgeAsync("winner", 1));
            }

            Assert.True(await store.TryTakeOverAsync($"dead{i}", "winner"));
        }

        var read = new List<string> { "dead0 1" };
        while (await store.ReadMailboxAsync("winner", 0, 100, Cancel) is { Count: > 0 } mails)
        {
            Assert.InRange(mails.Count, 1, 10 * Most);
            read.AddRange(mails.Select(mail => Text(mail.Body)));
            Assert.True(await store.AcknowledgeAsync("winner", mails[^1].Sequence));
            // Longer than what was read is known.
            await ForgetAsync(store);
        }

        Assert.Equal(Enumerable.Range(0, 11).SelectMany(i => Enumerable.Range(1, Most).Select(n => $"dead{i} {n}")), read);
    }

    private static Task<DynamoDbStore> OpenAsync(DynamoFixture fixture) => fixture.OpenAsync(fixture.Options with { MostUnread = Most });

    private static async Task FillAsync(DynamoDbStore store, string replica)
    {
        for (var i = 1; i <= Most; i++)
        {
            Assert.True(await TryPostAsync(store, replica, $"{replica} {i}"));
        }
    }

    private static async Task<bool> TryPostAsync(DynamoDbStore store, string replica, string call)
    {
        try
        {
            return await store.PostAsync(replica, "call", call, Utf8(call)) is not null;
        }
        catch (MailboxFullException)
        {
            return false;
        }
    }

    private static async Task ForgetAsync(DynamoDbStore store)
    {
        foreach (var mail in await store.Table.QueryAsync(new DynamoQuery("M#winner"), Cancel))
        {
            if (mail.ContainsKey("acknowledged"))
            {
                await store.Table.DeleteAsync(DynamoKeys.Of(mail));
            }
        }
    }
}
