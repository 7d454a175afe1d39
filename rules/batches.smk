"""One job for all models of a kind, where the profile asks for it: `gpu_batch_runtime`.

Included after all rules whose jobs it joins.
"""

BATCH_RUNTIME = partitions.batch_runtime(workflow)
BATCHES = [] if BATCH_RUNTIME is None else batches_of_study()


for batch in BATCHES:

    rule:
        """Do what many jobs of one rule would do, from one load; finished ones outlive a kill."""
        name:
            batch.name
        input:
            batch.inputs,
            settings=settings(batch.name, step="run_members", facts={"members": batch.jobs}),
        output:
            # update: members that a change leaves as they are stay where they are.
            update(batch.outputs),
            record=update(f"<results>/members/{batch.name}.json"),
        log:
            f"<logs>/members/{batch.name}.log",
        benchmark:
            f"<benchmarks>/members/{batch.name}.tsv"
        conda:
            "../envs/engram.yaml"
        threads: 1
        resources:
            gpu=1,
            mem_mb=growing(24000),
            runtime=BATCH_RUNTIME,  # a later attempt goes on, so it needs no more
        params:
            files=files,
        # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a
        # checkpoint.
        shell:
            "exec python -m engram_audio.steps.run_members {params.files}"
            " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"
