"""The state of one decision while it is made: books, demand, free workers, what was decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from batch.schedule.demand import Demand, Wish, first_of_each_key
from batch.schedule.ledger import LOADING_THREADS, Ledger, larger, total
from batch.schedule.model import (
    CPU,
    MADE_ROOM,
    Decision,
    Evict,
    Launch,
    Need,
    Snapshot,
    Start,
    Step,
    Worker,
)
from batch.schedule.rounds import Rounds
from batch.schedule.share import Share


class Board:
    """What the rules of one call share.

    ``waits`` says of each file that waits: why (a code), and a detail. ``keep_threads``: a GPU or
    an urgent request waits for CPU threads, so nothing else may take those that become free.
    ``force``: workers that others want may be ended for whoever is served now.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        steps = first_of_each_key(snapshot.files)
        self.rounds = Rounds(snapshot, steps or first_of_each_key(snapshot.queue[:1]))
        self.demand = Demand(snapshot, steps, self.rounds.patience_s)
        self.ledger = Ledger(snapshot)
        self.share = Share(snapshot)
        self.decisions: list[Decision] = []
        self.waits: dict[str, tuple[str, str]] = {}
        self.workers: dict[str, list[Worker]] = {}
        self.idle: list[Worker] = []
        self.launched: list[Launch] = []
        self.started: set[str] = set()
        self.keep_threads = False
        self.force = False
        self._claims: dict[str, int] = {}
        self._closed: set[str] = set()
        self._evicted: set[str] = set()
        for worker in snapshot.workers:
            self.workers.setdefault(worker.key, []).append(worker)
            if worker.state == "idle":
                self.idle.append(worker)
        self.idle.sort(key=lambda worker: worker.last_used)
        self._ending = [worker for worker in snapshot.workers if worker.state == "ending"]

    def wait(self, wish: Wish, code: str, detail: str = "") -> None:
        self.waits[wish.file.file] = (code, detail)

    def why(self, wish: Wish) -> str:
        """The code of what the wish waits for; empty: it does not."""
        return self.waits.get(wish.file.file, ("", ""))[0]

    def served(self, wish: Wish) -> bool:
        """Whether the wish was granted, or has been told already why it is not."""
        return wish.file.file in self.started or wish.file.file in self.waits

    def idle_of(self, key: str, device: str) -> list[Worker]:
        return [worker for worker in self.idle if worker.key == key and worker.device == device]

    def devices(self, step: Step) -> Collection[str]:
        """Where attempts of the step can run."""
        return self.ledger.homes(step.need) if step.gpu else (CPU,)

    def present(self, step: Step, device: str | None = None) -> int:
        """How many workers for the step are there or on their way (on ``device``).

        One on a GPU that has become too small for the step is none: its need was not known when the
        worker was loaded.
        """
        devices = [one for one in self.devices(step) if device in (None, one)]
        launched = sum(one.key == step.key and one.device in devices for one in self.launched)
        return launched + sum(
            worker.device in devices and worker.state != "ending" and worker.id not in self._evicted
            for worker in self.workers.get(step.key or "", ())
        )

    def usable(self, worker: Worker) -> bool:
        """Whether a step that open files still need can run on the worker, where it is."""
        step = self.demand.steps.get(worker.key)
        return step is not None and worker.device in self.devices(step)

    def coming(self, key: str) -> int:
        """How many workers of the key load."""
        return sum(one.key == key for one in self.launched) + sum(
            worker.state == "starting" for worker in self.workers.get(key, ())
        )

    def claim(self, key: str) -> bool:
        """Take one of the workers of the key that load, if any is not taken yet."""
        coming, claimed = self.coming(key), self._claims.get(key, 0)
        if claimed < coming:
            self._claims[key] = claimed + 1
        return claimed < coming

    @property
    def stalled(self) -> bool:
        """Nothing runs, loads, ends, prepares, or has been decided."""
        snapshot = self.snapshot
        return not (
            self.decisions
            or snapshot.leases
            or any(worker.state in ("starting", "ending") for worker in snapshot.workers)
            or any(file.request is None for file in snapshot.files)
        )

    def pays(self, step: Step, workers: int) -> bool:
        """Whether there is work enough for so many workers to make up for loading each."""
        assert step.key is not None
        return self.demand.busies(step.key, workers, step.load_s)

    def loading(self, device: str) -> bool:
        """Whether a worker on the device is starting, or was told to."""
        return any(one.device == device for one in self.launched) or any(
            worker.state == "starting" and worker.device == device
            for worker in self.snapshot.workers
        )

    def making_room(self, device: str) -> bool:
        """Whether memory is being freed there: it is for somebody, and not to be given away."""
        return any(worker.device == device for worker in self._ending)

    def start(self, wish: Wish, worker: Worker | None, device: str, need: Need) -> None:
        """Book and decide; the caller has asked ``room`` before."""
        if worker is not None:
            self.ledger.free(worker.held, worker.device)
            self.idle.remove(worker)
        self.ledger.book(need, device)
        name = worker.id if worker is not None else None
        self.started.add(wish.file.file)
        self.waits.pop(wish.file.file, None)
        self.decisions.append(Start(wish.request, wish.file.file, name, device, need))

    def held(self, step: Step, device: str) -> Need:
        """What a worker for the step keeps on ``device``."""
        vram = 0 if device == CPU else step.held.vram_bytes
        return self.ledger.cut(Need(0, step.held.ram_bytes, vram), device)

    def need(self, step: Step, device: str, threads: int, worker: Worker | None = None) -> Need:
        """What an attempt reserves on ``device``, on ``worker`` or in a process of its own."""
        vram = 0 if device == CPU else step.need.vram_bytes
        need = Need(threads, step.need.ram_bytes, vram)
        return self.ledger.cut(need if worker is None else larger(need, worker.held), device)

    def launch(self, step: Step, device: str, threads: int) -> None:
        assert step.key is not None
        held = self.held(step, device)
        self.ledger.hold(held, device)
        self.ledger.threads += LOADING_THREADS
        decision = Launch(step.key, device, threads, held)
        self.launched.append(decision)
        self.decisions.append(decision)

    def evict(self, worker: Worker, why: str = MADE_ROOM) -> None:
        self.idle.remove(worker)
        self._ending.append(worker)
        self._evicted.add(worker.id)
        self.decisions.append(Evict(worker.id, why))

    def room(
        self, need: Need, device: str, *, own: Worker | None = None, force: bool = False
    ) -> str:
        """Make room for ``need`` on ``device``, where ``own`` gives back what it holds.

        Empty: it fits now. ``evicting``: it will, when workers that were told to end have ended;
        until then nobody else gets that memory. Else what is short, ``ram`` or ``vram``; nothing is
        evicted then, as it would not help. Only workers that no file wants soon are ended, the
        least recently used first; with ``force`` any that is idle. What ``own`` holds is taken
        already: a worker that turned out to be larger than the budget can work all the same.
        """
        force = force or self.force
        held = own.held if own is not None else Need()
        need = _beyond(need, held)
        if not (need.ram_bytes or need.vram_bytes):
            return ""
        if closed := self._closed_to(need, device, held):
            return closed
        if not self.ledger.short_of(need, device, held):
            return ""
        coming = total([held, *_on(device, self._ending)])
        candidates = self._victims(own, force)
        victims: list[Worker] = []
        while short := self.ledger.short_of(need, device, coming):
            useful = (one for one in candidates if short == "ram" or one.device == device)
            victim = next(useful, None)
            if victim is None:
                return short
            candidates.remove(victim)
            victims.append(victim)
            coming = total([coming, *_on(device, [victim])])
        for worker in victims:
            self.evict(worker)
        self.close(device, short_of_ram=need.ram_bytes > self.ledger.free_ram + held.ram_bytes)
        return "evicting"

    def close(self, device: str, short_of_ram: bool) -> None:
        """From now on nobody else gets more memory on ``device``: it is kept for one who waits."""
        self._closed.add(device)
        if short_of_ram:
            self._closed.add(CPU)

    def closed(self, device: str) -> bool:
        return device in self._closed or CPU in self._closed

    def _closed_to(self, need: Need, device: str, held: Need) -> str:
        """What is kept for another, of the memory by which ``need`` exceeds ``held``."""
        if device in self._closed and need.vram_bytes > held.vram_bytes:
            return "vram"
        if CPU in self._closed and need.ram_bytes > held.ram_bytes:
            return "ram"
        return ""

    def _victims(self, own: Worker | None, force: bool) -> list[Worker]:
        """Idle workers that may be ended: unwanted ones first, each group by last use."""
        idle = [worker for worker in self.idle if worker is not own]
        unwanted = [worker for worker in idle if not self._wanted(worker)]
        if not force:
            return unwanted
        return unwanted + [worker for worker in idle if self._wanted(worker)]

    def _wanted(self, worker: Worker) -> bool:
        return self.demand.wanted(worker.key) and self.usable(worker)


def _beyond(need: Need, held: Need) -> Need:
    """The need, without the kinds of memory of which enough is held."""
    return Need(
        need.cpu_threads,
        need.ram_bytes if need.ram_bytes > held.ram_bytes else 0,
        need.vram_bytes if need.vram_bytes > held.vram_bytes else 0,
    )


def _on(device: str, workers: Iterable[Worker]) -> list[Need]:
    """What the workers hold, VRAM of other devices left out."""
    return [
        worker.held if worker.device == device else Need(0, worker.held.ram_bytes)
        for worker in workers
    ]


def memory_code(short: str) -> str:
    """The code of a wait for what :meth:`Board.room` says is short."""
    return {"vram": "gpu_memory", "ram": "memory", "evicting": "making_room"}[short]
