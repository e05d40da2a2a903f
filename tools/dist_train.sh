#!/usr/bin/env bash
# Train on several GPUs of one machine, or of several:
#   tools/dist_train.sh CONFIG GPUS [arguments of train.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=host tools/dist_train.sh CONFIG GPUS ...
set -euo pipefail
config=${1:?usage: dist_train.sh CONFIG GPUS [arguments of train.py]}
gpus=${2:?usage: dist_train.sh CONFIG GPUS [arguments of train.py]}
shift 2
exec python -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$gpus" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${MASTER_PORT:-29500}" \
  "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
