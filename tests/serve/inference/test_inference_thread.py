"""One thread for the model: who gets it next, and who does not any more."""

import threading
import time

import numpy as np
import pytest
import serving

from emotion2vec_edge.engine.errors import (
    OptionError,
    OverloadedError,
    ProviderError,
    TimeBudgetError,
    WithdrawnError,
)
from emotion2vec_edge.engine.runtime.model import Model
from emotion2vec_edge.engine.serve.inference import work as budget
from emotion2vec_edge.engine.serve.inference.shared import shared
from emotion2vec_edge.engine.serve.inference.thread import InferenceThread
from emotion2vec_edge.engine.serve.inference.work import Priority, Work


@pytest.fixture
def thread():
    with InferenceThread() as one:
        yield one


def in_thread(function):
    """A started thread, and the list that gets its result or error."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - looked at by the test
            results.append(error)

    started = threading.Thread(target=run)
    started.start()
    return started, results


def busy(thread):
    """Keep the inference thread busy until the event is set."""
    begun, release = threading.Event(), threading.Event()
    holder, _ = in_thread(
        lambda: thread.run(Work(Priority.LIVE), lambda: (begun.set(), release.wait(30)))
    )
    assert begun.wait(10)
    return holder, release


def test_live_audio_is_first_then_requests_then_jobs(thread):
    holder, release = busy(thread)
    order = []
    threads = [holder]
    for priority in (Priority.JOB, Priority.REQUEST, Priority.LIVE, Priority.REQUEST):
        waiting = thread.depth
        threads.append(
            in_thread(lambda p=priority: thread.run(Work(p), lambda: order.append(p)))[0]
        )
        serving.until(lambda waiting=waiting: thread.depth > waiting)
    release.set()
    for one in threads:
        one.join()
    assert order == [Priority.LIVE, Priority.REQUEST, Priority.REQUEST, Priority.JOB]


def test_nothing_waits_for_ever(thread, monkeypatch):
    """A request that has waited for a second is not passed by live audio any more."""
    holder, release = busy(thread)
    order = []
    clock = time.monotonic
    old, _ = in_thread(lambda: thread.run(Work(Priority.REQUEST), lambda: order.append("old")))
    serving.until(lambda: thread.depth == 1)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 1.5)
    live, _ = in_thread(lambda: thread.run(Work(Priority.LIVE), lambda: order.append("live")))
    serving.until(lambda: thread.depth == 2)
    release.set()
    for one in (holder, old, live):
        one.join()
    assert order == ["old", "live"]


def test_all_steps_run_in_one_thread(thread):
    names = [thread.run(Work(Priority.REQUEST), threading.get_ident) for _ in range(3)]
    assert len(set(names)) == 1
    assert names[0] != threading.get_ident()


def test_an_error_comes_back_and_the_thread_goes_on(thread):
    with pytest.raises(ZeroDivisionError):
        thread.run(Work(Priority.REQUEST), lambda: 1 / 0)
    assert thread.run(Work(Priority.REQUEST), lambda: 5) == 5


def test_work_that_was_withdrawn_while_it_waited_is_not_done(thread):
    holder, release = busy(thread)
    work, done = Work(Priority.REQUEST), []
    waiter, results = in_thread(lambda: thread.run(work, lambda: done.append(1)))
    serving.until(lambda: thread.depth)
    work.withdraw()
    release.set()
    waiter.join()
    holder.join()
    assert isinstance(results[0], WithdrawnError)
    assert not done


def test_what_waits_at_the_end_is_refused():
    thread = InferenceThread()
    holder, release = busy(thread)
    waiter, results = in_thread(lambda: thread.run(Work(Priority.JOB), lambda: 1))
    serving.until(lambda: thread.depth)
    closer, _ = in_thread(thread.close)
    release.set()
    for one in (holder, waiter, closer):
        one.join()
    assert isinstance(results[0], OverloadedError)
    with pytest.raises(OverloadedError):
        thread.run(Work(Priority.LIVE), lambda: 1)
    thread.close()


def test_a_budget_grows_with_the_audio(monkeypatch):
    monkeypatch.setattr(budget, "BUDGET_SECONDS", 1.0)
    work = Work(Priority.REQUEST, arrived=time.monotonic() - 5)
    with pytest.raises(TimeBudgetError, match="1 s"):
        work.check()
    work.progress("encoding", 0.0, 100.0)
    with pytest.raises(TimeBudgetError, match="2 s"):
        work.progress("encoding", 1.0, 1.0)
    Work(Priority.JOB, budget=False, arrived=0.0).check()


def test_the_audio_of_several_recordings_is_counted_together():
    work = Work(Priority.REQUEST)
    work.progress("encoding", 3.0, 3.0)
    work.next_recording()
    work.progress("encoding", 1.0, 2.0)
    assert (work.audio_seconds, work.total_seconds) == (4.0, 5.0)


def test_a_shared_recognizer_gives_the_same(thread, recognizer, example):
    work = Work(Priority.REQUEST)
    own = shared(recognizer, thread, work)
    assert own.recognize(example).scores == recognizer.recognize(example).scores
    assert work.inference_seconds > 0
    windows = [window.scores for window in own.stream([np.zeros(48_000, "f4")])]
    assert windows == [w.scores for w in recognizer.stream([np.zeros(48_000, "f4")])]


def test_labels_of_one_request(thread, recognizer, example):
    chosen = ["sad", "angry"]
    own = shared(recognizer, thread, Work(Priority.REQUEST), labels=chosen, reject_below=0.99)
    assert own.labels == ("angry", "sad")
    logits = recognizer.encode(example).logits.mean(axis=0)
    kept = logits[[recognizer.labels.index(label) for label in own.labels]]
    expected = np.exp(kept - kept.max()) / np.exp(kept - kept.max()).sum()
    utterance = own.recognize(example)
    assert np.allclose(list(utterance.scores.values()), expected, atol=1e-5)
    assert utterance.restricted
    again = shared(own, thread, Work(Priority.REQUEST), labels=["sad", "angry"])
    assert again.labels == ("angry", "sad")
    with pytest.raises(OptionError, match="happy"):
        shared(own, thread, Work(Priority.REQUEST), labels=["sad", "happy"])


class Batches(Model):
    """A model that takes four clips together, and notes how many came."""

    batch_size = 4

    def __init__(self):
        self.sizes = []

    def pieces_of(self, clips):
        self.sizes.append(len(clips))
        if len(clips) > 1 and any(float(clip[0][0]) < 0 for clip in clips):
            raise ProviderError("no memory for so many")
        for number, clip in enumerate(clips):
            if float(clip[0][0]) < -1:
                raise ProviderError("no memory for this one")
            yield number, clip[0], None

    def end_profiling(self):
        return []


def batched(thread, model, values):
    """What clips of one sample each get, sent at the same time by as many clients."""
    holder, release = busy(thread)
    clients = []
    for value in values:
        clips, waiting = [[np.array([value], np.float32)]], thread.depth
        work = Work(Priority.REQUEST)
        clients.append((work, *in_thread(lambda w=work, c=clips: thread.run_together(w, model, c))))
        serving.until(lambda waiting=waiting: thread.depth > waiting)
    release.set()
    for _, client, _ in clients:
        client.join()
    holder.join()
    return [
        results[0] if isinstance(results[0], Exception) else float(results[0][0][1][0])
        for _, _, results in clients
    ]


def test_clips_of_several_requests_go_together(thread):
    model = Batches()
    assert batched(thread, model, [1.0, 2, 3, 4, 5, 6]) == [1, 2, 3, 4, 5, 6]
    assert model.sizes == [4, 2]


def test_what_fails_together_is_tried_alone(thread):
    model = Batches()
    *good, bad = batched(thread, model, [1.0, -1, 3, -2])
    assert good == [1, -1, 3]
    assert isinstance(bad, ProviderError)
    assert model.sizes == [4, 1, 1, 1, 1]


def test_other_models_and_steps_do_not_go_together(thread):
    holder, release = busy(thread)
    models = Batches(), Batches()
    clip = [[np.ones(1, np.float32)]]
    threads = [holder]
    for model in (*models, *models):
        waiting = thread.depth
        run = in_thread(lambda m=model: thread.run_together(Work(Priority.REQUEST), m, clip))
        threads.append(run[0])
        serving.until(lambda waiting=waiting: thread.depth > waiting)
    release.set()
    for one in threads:
        one.join()
    assert [model.sizes for model in models] == [[2], [2]]
