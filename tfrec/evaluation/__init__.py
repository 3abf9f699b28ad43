"""Exact top-k over a catalogue in chunks, ranking metrics, baselines, reports."""

from tfrec.evaluation.baselines import ItemToItem as ItemToItem
from tfrec.evaluation.baselines import Markov as Markov
from tfrec.evaluation.baselines import Popularity as Popularity
from tfrec.evaluation.classification import auc as auc
from tfrec.evaluation.classification import gauc as gauc
from tfrec.evaluation.classification import log_loss as log_loss
from tfrec.evaluation.classification import normalized_entropy as normalized_entropy
from tfrec.evaluation.classification import pcoc as pcoc
from tfrec.evaluation.ranking import hit_rate_at_k as hit_rate_at_k
from tfrec.evaluation.ranking import list_metrics as list_metrics
from tfrec.evaluation.ranking import mrr_at_k as mrr_at_k
from tfrec.evaluation.ranking import ndcg_at_k as ndcg_at_k
from tfrec.evaluation.ranking import precision_at_k as precision_at_k
from tfrec.evaluation.ranking import rank_metrics as rank_metrics
from tfrec.evaluation.ranking import recall_at_k as recall_at_k
from tfrec.evaluation.ranks import target_rank as target_rank
from tfrec.evaluation.ranks import target_rank_of_scores as target_rank_of_scores
from tfrec.evaluation.report import evaluate_retrieval as evaluate_retrieval
from tfrec.evaluation.report import table as table
from tfrec.evaluation.scores import Scores as Scores
from tfrec.evaluation.topk import TopK as TopK
from tfrec.evaluation.topk import top_k as top_k
from tfrec.evaluation.topk import top_k_of_scores as top_k_of_scores
